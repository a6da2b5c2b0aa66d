"""The API as a client meets it: a real server on a free port, in a thread."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from app.core.settings import Settings
from app.main import Server, create_app
from app.services import Services


@dataclass
class Running:
    """A server that runs, and a client of it."""

    url: str
    client: httpx.Client
    services: Services
    stop: Callable[[], None]

    def as_key(self, key: str) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {key}"})


@contextmanager
def serving(settings: Settings) -> Iterator[Running]:
    app = create_app(settings)
    server = Server(app, settings.model_copy(update={"port": 0}))
    thread = threading.Thread(target=server.run, name="api")
    thread.start()

    def stop() -> None:
        server.should_exit = True
        thread.join(15)

    try:
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("the server did not start")
            time.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=url, timeout=30) as client:
            yield Running(url, client, app.state.services, stop)
    finally:
        stop()


def eventually(true: Callable[[], object], seconds: float = 5.0) -> bool:
    """Whether a condition comes true in that time."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
