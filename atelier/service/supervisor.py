"""The supervisor behind `atelier up`: embedded Valkey, API and workers as children, kept alive.

1. A lock file guards the state folder: two supervisors never share one.
2. It restarts a child that dies, at once at first and then after ever longer pauses, for ever.
3. Exit status 78 means that the configuration is wrong: then everything stops.
4. Children have one end of a pipe. When this process dies, even by kill -9, the pipe closes and
   they end, so there are no orphans.
5. It stops in order: the API first, then the workers, which drain, then the server.
6. Children of their own import the models that packages carry. They are not restarted.
"""

import errno
import fcntl
import http.client
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO

from app.core.settings import Misconfigured, Settings
from app.core.store import StoreError
from app.core.stores.store_factory import open_store
from app.queue.connections import check_credentials
from atelier.service.child import Child, Refused, stop_together
from atelier.service.embedded_valkey import EmbeddedServer
from atelier.service.packaged_models import SILENT, import_command, note_end, plan_imports
from atelier.service.state_folder import discard_socket, prepare_state, private_files

log = logging.getLogger("atelier.supervisor")

KILL_AFTER = 10.0  # seconds beyond its grace that a child may take to end
API_GRACE = 10.0  # seconds that the API gives the requests it still has
ASK_EVERY = 0.25  # seconds between two looks whether the API is ready, until it is
PATIENCE = 3.0  # seconds that a port may still be held by the API of an `up` that was killed

KINDS = ("api", "worker", "import", "valkey")  # in the order in which they are stopped
API = (sys.executable, "-m", "app.main")
WORKER = (sys.executable, "-m", "workers.main")


@dataclass
class Supervisor:
    """Runs the service on this machine until SIGTERM or SIGINT."""

    settings: Settings
    api: Sequence[str] = API
    worker: Sequence[str] = WORKER
    children: list[Child] = field(default_factory=list)
    stopping: bool = False

    def run(self) -> None:
        """Starts everything, prints when it is ready, keeps it running, and stops it in order.

        Raises Misconfigured, Refused or NoServer.
        """
        state = prepare_state(self.settings.state)
        with private_files():  # of the children too
            check_connections(self.settings)
            self._run_in(state)

    def _run_in(self, state: Path) -> None:
        reading, writing = os.pipe()
        with lock_state(state):
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

    def _plan(self, state: Path, parent_pipe: int) -> None:
        """Lists the children, the server first."""
        environment = os.environ | self._settings_as_environment(state)
        if not self.settings.redis_url:
            server = EmbeddedServer(state, self.settings.queue_memory)
            module = "atelier.service.child_guard"
            guard = (sys.executable, "-m", module, server.data, *server.command())
            self.children.append(Child("valkey", guard, os.environ, parent_pipe, log=server.log))
            environment["ATELIER_REDIS_URL"] = server.url
        self.children.append(Child("api", self.api, environment, parent_pipe))
        for i in range(self.settings.workers):
            self.children.append(Child(f"worker-{i}", self.worker, environment, parent_pipe))
        for model in plan_imports(self.settings, state):
            command = import_command(model, state)
            environment = os.environ | SILENT
            on_end = partial(note_end, model, state)
            self.children.append(
                Child(f"import-{model.id}", command, environment, parent_pipe, on_end=on_end)
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
                child.keep_running()
            if not ready and time.monotonic() - asked > ASK_EVERY:
                ready, asked = self._is_ready(), time.monotonic()
                if ready:
                    print(f"ready {self.url}", flush=True)
            time.sleep(0.1)

    @property
    def host(self) -> str:
        """The host at which this machine reaches the API."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.settings.host, self.settings.host)

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.settings.port}"

    def _is_ready(self) -> bool:
        """Whether the API is ready, over a connection that no proxy sees."""
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
            child.terminate()
        stop_together(api, API_GRACE + KILL_AFTER)
        stop_together(workers, self.settings.drain_grace + KILL_AFTER)
        stop_together(imports, KILL_AFTER)
        stop_together(valkey, KILL_AFTER)
        discard_socket(self.settings.state.resolve())


def check_connections(settings: Settings) -> None:
    """Raises Misconfigured if the settings of Redis or the store are wrong.

    A server that does not answer is no fault of the settings: children wait for it.
    """
    if settings.redis_url:
        check_credentials(settings)
    try:
        open_store(settings)
    except StoreError as error:
        log.warning("the store can't be used yet", extra={"reason": str(error)})


def lock_state(state: Path) -> IO[str]:
    """Locks the state folder while the file is open. Raises Refused if it is locked already."""
    file = (state / "lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise Refused(f"another `atelier up` is using {state}") from None
    return file


def bindable_port(host: str, port: int) -> int:
    """Returns the port, or for 0 a free one.

    Raises Refused if another program has it, Misconfigured if this machine lacks the address.
    """
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
    """Returns a port that nobody listens on now."""
    return bindable_port(host, 0)
