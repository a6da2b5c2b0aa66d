"""HEAD: every GET route answers it, with GET's headers, and begins no stream."""

from collections.abc import AsyncGenerator

import httpx
import pytest

from app.following import Follower
from app.main import ROUTERS
from tests.app.test_artifacts import store
from tests.app.test_generate import URL
from tests.app.test_jobs import make

PATHS = sorted({r.path for x in ROUTERS for r in x.routes if "GET" in r.methods})  # type: ignore[attr-defined]
VARIES = {"x-request-id", "date"}


@pytest.mark.parametrize("path", [*PATHS, "/openapi.json", "/nope"])
def test_every_get_route_answers_head(api: httpx.Client, path: str) -> None:
    (job,), sha256 = make(api), store(api)
    url = path.replace("{job_id}", job).replace("{sha256}", sha256)
    head = api.head(url)
    assert head.status_code not in (405, 500), path
    assert head.content == b""
    if not path.endswith("/events"):
        get = api.get(url)
        assert head.status_code == get.status_code
        if path != "/metrics":
            assert {k: v for k, v in head.headers.items() if k not in VARIES} == {
                k: v for k, v in get.headers.items() if k not in VARIES
            }


def test_no_stream_is_begun(api: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []

    async def events(self: Follower) -> AsyncGenerator[bytes]:
        begun.append(self)
        yield b""

    monkeypatch.setattr(Follower, "events", events)
    (job,) = make(api)
    head = api.head(f"/jobs/{job}/events")
    assert (head.status_code, begun) == (200, [])
    assert head.headers["content-type"].startswith("text/event-stream")
    assert "content-length" not in head.headers


def test_what_only_takes_a_body_has_no_head(api: httpx.Client) -> None:
    answer = api.head(URL)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
