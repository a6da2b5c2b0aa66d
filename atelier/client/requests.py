"""What the two clients share: where to ask, how to say it, and which page comes next."""

import json
import mimetypes
import os
import socket
import threading
import uuid
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from atelier.client.errors import json_of
from atelier.client.transport import Query

LOCAL = "http://127.0.0.1:8000"
QUIET = 45.0  # seconds; events that are silent for three keepalives are from a dead connection
PAGE = 100  # jobs asked for at once

Card = dict[str, Any]


@dataclass
class Listing:
    """Where a caller is in a list of jobs that comes in pages."""

    status: str | None
    type: str | None
    wanted: int | None  # how many are still to be given; None is all
    full: bool = False  # whether to include long texts
    after: str | None = None
    more: bool = True

    @property
    def query(self) -> Query:
        size = PAGE if self.wanted is None else min(PAGE, self.wanted)
        named = {"status": self.status, "type": self.type, "after": self.after}
        named["full"] = "true" if self.full else None
        return {k: v for k, v in named.items() if v is not None} | {"limit": size}

    @property
    def open(self) -> bool:
        return self.more and self.wanted != 0

    def take(self, answer: httpx.Response) -> list[dict[str, Any]]:
        page = json_of(answer)
        jobs: list[dict[str, Any]] = page["data"]
        self.after, self.more = page["last_id"], page["has_more"]
        if self.wanted is not None:
            self.wanted -= len(jobs)
        return jobs


def url_of(base_url: str | None) -> str:
    return base_url or os.environ.get("ATELIER_URL") or LOCAL


def key_header(api_key: str | None) -> dict[str, str]:
    key = api_key or os.environ.get("ATELIER_API_KEY")
    return {"Authorization": f"Bearer {key}"} if key else {}


def model_path(model_id: str) -> str:
    return f"/models/{quote(model_id, safe='')}"


def body_of(
    model: str | None,
    n: int | None,
    seed: int | None,
    output_format: str | None,
    metadata: Mapping[str, str] | None,
) -> dict[str, Any]:
    """The common fields that were given; the service has a default for each of the others."""
    given = {"model": model, "n": n, "seed": seed, "output_format": output_format}
    body = {k: v for k, v in given.items() if v is not None}
    return body if metadata is None else body | {"metadata": dict(metadata)}


def submission(body: Mapping[str, Any], key: str | None) -> tuple[bytes, dict[str, str]]:
    content = json.dumps(dict(body), allow_nan=False).encode()
    own = str(uuid.uuid4()) if key is None else key
    return content, {"Content-Type": "application/json", "Idempotency-Key": own}


def file_of(source: str | Path | bytes, content_type: str | None) -> tuple[bytes, dict[str, str]]:
    """The service knows a file by its bytes; a type is sent since it asks for one."""
    if isinstance(source, bytes):
        content, guess = source, None
    else:
        content, guess = Path(source).read_bytes(), mimetypes.guess_type(source)[0]
    return content, {"Content-Type": content_type or guess or "application/octet-stream"}


def stream_limits(usual: httpx.Timeout, seconds: float) -> httpx.Timeout:
    """For a stream: silence is normal up to QUIET, and nothing is waited for beyond `seconds`."""
    start = min(seconds, QUIET if usual.connect is None else usual.connect)
    return httpx.Timeout(start, read=min(seconds, QUIET))


@contextmanager
def cut_after(answer: httpx.Response, seconds: float) -> Generator[None, None, None]:
    """Hang up when the time is over: httpx's own limits are for each read, not for all of them."""
    wire = answer.extensions.get("network_stream")
    if wire is None or seconds >= threading.TIMEOUT_MAX:
        yield
        return
    timer = threading.Timer(seconds, hang_up, [wire.get_extra_info("socket")])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def hang_up(line: socket.socket) -> None:
    with suppress(OSError):  # it has been closed by the other side
        line.shutdown(socket.SHUT_RDWR)
