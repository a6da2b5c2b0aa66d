"""A service of its own for a bench, whose processes can be killed and stopped."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

from atelier.service.supervisor import free_port
from tests.models.families import tiny_checkpoint

LEASE = 4.0  # seconds


class Service:
    """An `atelier up` in a temporary folder, and its children by name."""

    def __init__(self, state: Path) -> None:
        self.port = free_port("127.0.0.1")
        self.url = f"http://127.0.0.1:{self.port}"
        self.state = state
        self.stalls: list[threading.Timer] = []
        for family in ("language", "video_gan"):
            tiny_checkpoint(state / "checkpoints", family)
        environment = os.environ | {
            "ATELIER_LEASE": f"{LEASE:g}",
            "ATELIER_HEARTBEAT": "1",
            "ATELIER_SWEEP_INTERVAL": "1",
            "ATELIER_DRAIN_GRACE": "2",
            "ATELIER_THREADS": "1",
            "ATELIER_PACKAGED_MODELS": "false",  # each takes a minute to be taken over
        }
        command = [sys.executable, "-m", "atelier", "up", "--workers", "2"]
        command += ["--port", str(self.port), "--state", str(state)]
        self.log = (state / "log").open("w")
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self.log, env=environment, text=True
        )
        assert self.process.stdout is not None
        if not self.process.stdout.readline().startswith("ready"):
            raise RuntimeError(f"the service did not start: {(state / 'log').read_text()[-2000:]}")

    def find(self, kind: str) -> list[int]:
        """The processes of a kind, below this service."""
        word = {"worker": "workers.main", "api": "app.main", "valkey": "valkey-server"}[kind]
        listed = subprocess.run(
            ["ps", "-eww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
        )
        rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
        below = {self.process.pid}
        for _ in range(3):
            below |= {int(pid) for pid, parent, *_ in rows if int(parent) in below}
        return [
            int(r[0])
            for r in rows
            if int(r[0]) in below
            and len(r) > 2
            and word in r[2]
            and "atelier.service.child_guard" not in r[2]
        ]

    def stall(self, process: int) -> None:
        """Stops a process until its lease has ended; meanwhile the others work."""
        os.kill(process, signal.SIGSTOP)

        def go_on() -> None:
            with suppress(ProcessLookupError):  # it was killed meanwhile
                os.kill(process, signal.SIGCONT)

        timer = threading.Timer(2 * LEASE, go_on)
        timer.start()
        self.stalls.append(timer)

    def stop(self) -> None:
        for stall in self.stalls:
            stall.join()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.log.close()
