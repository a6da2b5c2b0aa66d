"""The supervisor behind `atelier up`: embedded Valkey, API and workers as children, kept alive.

1. A lock file guards the state folder: two supervisors never share one.
2. What dies is started again, at once at first and then ever more slowly; it never gives up.
3. Exit status 78 says that the configuration is wrong: then everything stops.
4. Children hold one end of a pipe. When this process dies, however it dies, the pipe closes and
   they end: kill -9 leaves no orphans.
5. It stops in order: the API first, then the workers, which drain, then the server.
6. Models that packages carry are imported by children of their own, which are not started again.
"""

import errno
import fcntl
import http.client
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO

from app.core.parent_watch import VARIABLE
from app.core.settings import EX_CONFIG, Misconfigured, Settings
from app.core.store import StoreError, open_store
from app.queue.connections import check_credentials
from atelier.service.append_log import last_reason
from atelier.service.child_guard import EX_DATA
from atelier.service.embedded_valkey import EmbeddedServer
from atelier.service.packaged_models import SILENT, import_command, note_end, plan_imports
from atelier.service.state_folder import discard_socket, prepare_state, private_files

log = logging.getLogger("atelier.up")

LONGEST_PAUSE = 10.0  # seconds between two starts of a child that keeps dying
STEADY = 30.0  # a child that has lived so long starts at once again
KILL_AFTER = 10.0  # seconds beyond its grace that a child may take to end
API_GRACE = 10.0  # seconds that the API gives the requests it still has
ASK_EVERY = 0.25  # seconds between two looks whether the API is ready, until it is
PATIENCE = 3.0  # seconds that a port may still be held by the API of an `up` that was killed

KINDS = ("api", "worker", "import", "valkey")  # in the order in which they are stopped
API = (sys.executable, "-m", "app.main")
WORKER = (sys.executable, "-m", "workers.main")


class Refused(RuntimeError):
    """The service can't be started as asked; the message says why."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status  # that the command exits with


@dataclass
class Child:
    """A process that is to be running."""

    name: str  # of one of KINDS, with what tells it from others of its kind
    command: Sequence[str | Path]
    environment: Mapping[str, str]
    lifeline: int
    ended: Callable[[int], None] | None = None  # told its status, of one that runs only once
    log: Path | None = None  # the file where it says what is wrong, if not on standard error
    process: subprocess.Popen[bytes] | None = None
    began: float = 0.0
    pause: float = 0.0
    due: float = 0.0  # when to start it again
    over: bool = False  # it has ended and is not to be started again

    @property
    def kind(self) -> str:
        return self.name.partition("-")[0]

    def start(self) -> None:
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [*self.command],
            env=dict(self.environment) | {VARIABLE: str(self.lifeline)},
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,  # the supervisor's own output is what a script reads
            pass_fds=[self.lifeline],
            start_new_session=True,  # Ctrl-C reaches the supervisor, which stops them in order
        )

    def mend(self) -> None:
        """Start it if it is not running and its pause is over.

        Raises Refused where it ended with status 78, or could not read what it has kept.
        """
        if self.process is None:
            if time.monotonic() >= self.due:
                try:
                    self.start()
                except OSError as error:  # no memory or no processes left, for now
                    self._rest(str(error))
        elif (status := self.process.poll()) is not None:
            if status == EX_DATA and self.log:
                reason = last_reason(self.log) or "no reason given"
                message = f"{self.name} can't read what it has kept: {reason}"
                raise Refused(f"{message} (its log is {self.log})")
            if status == EX_CONFIG:
                raise Refused(f"{self.name} can't run as configured", EX_CONFIG)
            if self.ended is None:
                self._rest(status)
            elif not self.over:
                self.over = True
                self.ended(status)

    def _rest(self, status: int | str) -> None:
        """After a death: start again at once if it had lived well, else ever later."""
        now = time.monotonic()
        steady = now - self.began > STEADY
        self.pause = 0.0 if steady else min(LONGEST_PAUSE, 2 * self.pause + 0.2)
        log.warning("child died", extra={"child": self.name, "status": status})
        self.process, self.due = None, now + self.pause

    def tell(self) -> None:
        """Ask it to end."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def reap(self, grace: float) -> None:
        """Wait for its end, and bring it about when the grace is over."""
        if self.process is None:
            return
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
        """Start everything, say when it is ready, keep it alive, stop it in order.

        Raises Misconfigured, Refused or NoServer where that can't be.
        """
        state = prepare_state(self.settings.state)
        with private_files():  # of the children too
            check_connections(self.settings)
            self._run_in(state)

    def _run_in(self, state: Path) -> None:
        reading, writing = os.pipe()
        with lock(state):
            port = bindable_port(self.settings.host, self.settings.port)
            self.settings = self.settings.model_copy(update={"port": port})
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
            server = EmbeddedServer(state, self.settings.queue_memory)
            keeper = (
                sys.executable,
                "-m",
                "atelier.service.child_guard",
                server.data,
                *server.command(),
            )
            self.children.append(Child("valkey", keeper, os.environ, lifeline, log=server.log))
            environment["ATELIER_REDIS_URL"] = server.url
        self.children.append(Child("api", self.api, environment, lifeline))
        for i in range(self.settings.workers):
            self.children.append(Child(f"worker-{i}", self.worker, environment, lifeline))
        for model in plan_imports(self.settings, state):
            command = import_command(model, state)
            environment = os.environ | SILENT
            ended = partial(note_end, model, state)
            self.children.append(
                Child(f"import-{model.id}", command, environment, lifeline, ended=ended)
            )

    def _settings_as_environment(self, state: Path) -> dict[str, str]:
        settings = self.settings
        return {
            "ATELIER_STATE": str(state),
            "ATELIER_HOST": settings.host,
            "ATELIER_PORT": str(settings.port),
            "ATELIER_WORKERS": str(settings.workers),
        }

    def _keep_alive(self) -> None:
        ready, asked = False, 0.0
        while not self.stopping:
            for child in self.children:
                child.mend()
            if not ready and time.monotonic() - asked > ASK_EVERY:
                ready, asked = self._is_ready(), time.monotonic()
                if ready:
                    print(f"ready {self.url}", flush=True)
            time.sleep(0.1)

    @property
    def host(self) -> str:
        """Where this machine reaches the API."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.settings.host, self.settings.host)

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.settings.port}"

    def _is_ready(self) -> bool:
        """Asked over a plain connection: a proxy for the world outside has no part in it."""
        connection = http.client.HTTPConnection(self.host, self.settings.port, timeout=1)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _stop(self) -> None:
        api, workers, imports, valkey = ([c for c in self.children if c.kind == k] for k in KINDS)
        for child in imports:
            child.tell()
        stop_together(api, API_GRACE + KILL_AFTER)
        stop_together(workers, self.settings.drain_grace + KILL_AFTER)
        stop_together(imports, KILL_AFTER)
        stop_together(valkey, KILL_AFTER)
        discard_socket(self.settings.state.resolve())


def check_connections(settings: Settings) -> None:
    """Raises Misconfigured where Redis or the store is not what the settings say.

    One that is away is no fault of the settings: children wait for it.
    """
    if settings.redis_url:
        check_credentials(settings)
    try:
        open_store(settings)
    except StoreError as error:
        log.warning("the store can't be used yet", extra={"reason": str(error)})


def stop_together(children: Sequence[Child], grace: float) -> None:
    """Tell all of them at once, then wait for each; what takes longer is killed."""
    for child in children:
        child.tell()
    end = time.monotonic() + grace
    for child in children:
        child.reap(max(0.0, end - time.monotonic()))


def lock(state: Path) -> IO[str]:
    """Hold the state folder for as long as the file is open. Raises Refused if another does."""
    file = (state / "lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise Refused(f"another `atelier up` is using {state}") from None
    return file


def bindable_port(host: str, port: int) -> int:
    """The port, or for 0 a free one. Raises Refused where another program has it, and
    Misconfigured where there is no such address here."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    end = time.monotonic() + PATIENCE
    while True:
        try:
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
                return int(probe.getsockname()[1])
        except OSError as error:
            message = f"can't bind {host} port {port}: {error.strerror}"
            if error.errno != errno.EADDRINUSE:
                name = "PORT" if error.errno == errno.EACCES else "HOST"
                raise Misconfigured(f"ATELIER_{name}: {message}") from None
            if time.monotonic() > end:
                raise Refused(message) from None
            time.sleep(0.1)


def free_port(host: str) -> int:
    """A port that nobody listens on just now."""
    return bindable_port(host, 0)
