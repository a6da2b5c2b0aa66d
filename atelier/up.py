"""The supervisor behind `atelier up`: embedded Valkey, API and workers as children, kept alive.

1. A lock file guards the state folder: two supervisors never share one.
2. What dies is started again, at once at first and then ever more slowly; it never gives up.
3. Exit status 78 says that the configuration is wrong: then everything stops.
4. Children hold one end of a pipe. When this process dies, however it dies, the pipe closes and
   they end: kill -9 leaves no orphans.
5. It stops in order: the API first, then the workers, which drain, then the server.
"""

import fcntl
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import httpx

from app.lifeline import VARIABLE
from app.settings import Settings
from atelier.embedded import EmbeddedServer

log = logging.getLogger("atelier.up")

EX_CONFIG = 78
LONGEST_PAUSE = 10.0  # seconds between two starts of a child that keeps dying
STEADY = 30.0  # a child that has lived so long starts at once again
KILL_AFTER = 10.0  # seconds beyond its grace that a child may take to end

API = (sys.executable, "-m", "app.main")
WORKER = (sys.executable, "-m", "workers.main")


class Refused(RuntimeError):
    """The service can't be started as asked; the message says why."""


@dataclass
class Child:
    """A process that is to be running."""

    name: str
    command: Sequence[str | Path]
    environment: Mapping[str, str]
    lifeline: int
    process: subprocess.Popen[bytes] | None = None
    began: float = 0.0
    pause: float = 0.0
    due: float = 0.0  # when to start it again

    def start(self) -> None:
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [*self.command],
            env=dict(self.environment) | {VARIABLE: str(self.lifeline)},
            stdin=subprocess.DEVNULL,
            pass_fds=[self.lifeline],
            start_new_session=True,  # Ctrl-C reaches the supervisor, which stops them in order
        )

    def mend(self) -> None:
        """Start it if it is not running and its pause is over. Raises Refused on exit 78."""
        now = time.monotonic()
        if self.process is None:
            if now >= self.due:
                self.start()
        elif (status := self.process.poll()) is not None:
            if status == EX_CONFIG:
                raise Refused(f"{self.name} can't run as configured")
            steady = now - self.began > STEADY
            self.pause = 0.0 if steady else min(LONGEST_PAUSE, 2 * self.pause + 0.2)
            log.warning("child died", extra={"child": self.name, "status": status})
            self.process, self.due = None, now + self.pause

    def stop(self, grace: float) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(grace)
        except subprocess.TimeoutExpired:
            log.warning("child killed", extra={"child": self.name})
            self.process.kill()
            self.process.wait()


@dataclass
class Supervisor:
    """Runs the service on this machine until it is told to stop."""

    settings: Settings
    api: Sequence[str] = API
    worker: Sequence[str] = WORKER
    children: list[Child] = field(default_factory=list)
    stopping: bool = False

    def run(self) -> None:
        """Start everything, say when it is ready, keep it alive, stop it in order."""
        state = self.settings.state.resolve()
        state.mkdir(parents=True, exist_ok=True)
        reading, writing = os.pipe()
        with lock(state):
            self._plan(state, reading)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._on_signal)
            try:
                self._keep_alive()
            finally:
                self._stop()
                os.close(writing)
                os.close(reading)

    def _on_signal(self, number: int, frame: object) -> None:
        self.stopping = True

    def _plan(self, state: Path, lifeline: int) -> None:
        """Which children there are, the server first."""
        environment = os.environ | self._settings_as_environment(state)
        if not self.settings.redis_url:
            server = EmbeddedServer(state)
            keeper = (sys.executable, "-m", "atelier.keeper", *map(str, server.command()))
            self.children.append(Child("valkey", keeper, os.environ, lifeline))
            environment["ATELIER_REDIS_URL"] = server.url
        self.children.append(Child("api", self.api, environment, lifeline))
        for i in range(self.settings.workers):
            self.children.append(Child(f"worker-{i}", self.worker, environment, lifeline))

    def _settings_as_environment(self, state: Path) -> dict[str, str]:
        settings = self.settings
        return {
            "ATELIER_STATE": str(state),
            "ATELIER_HOST": settings.host,
            "ATELIER_PORT": str(settings.port),
            "ATELIER_WORKERS": str(settings.workers),
        }

    def _keep_alive(self) -> None:
        told = False
        while not self.stopping:
            for child in self.children:
                child.mend()
            if not told and self._is_ready():
                told = True
                print(f"ready {self.url}", flush=True)
            time.sleep(0.1)

    @property
    def url(self) -> str:
        host = self.settings.host
        shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)
        return f"http://{shown}:{self.settings.port}"

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=1).status_code == 200
        except httpx.HTTPError:
            return False

    def _stop(self) -> None:
        graces = {"api": KILL_AFTER, "valkey": KILL_AFTER}
        workers = [c for c in self.children if c.name.startswith("worker")]
        for child in [c for c in self.children if c.name == "api"]:
            child.stop(graces["api"])
        for child in workers:  # all drain at once
            if child.process and child.process.poll() is None:
                child.process.terminate()
        for child in workers:
            child.stop(self.settings.drain_grace + KILL_AFTER)
        for child in [c for c in self.children if c.name == "valkey"]:
            child.stop(graces["valkey"])


def lock(state: Path) -> IO[str]:
    """Hold the state folder for as long as the file is open. Raises Refused if another does."""
    file = (state / "lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise Refused(f"another `atelier up` is using {state}") from None
    return file


def free_port(host: str) -> int:
    """A port that nobody listens on just now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
