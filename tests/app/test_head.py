"""HEAD: every GET route answers it, with GET's headers, and begins no stream."""

from collections.abc import AsyncGenerator

import httpx
import pytest

from app.operations.event_stream import Follower
from tests.app.queue.test_jobs import make
from tests.app.test_artifacts import store
from tests.app.test_generate import URL

VARIES = {"x-request-id", "date"}


def test_every_get_route_answers_head(api: httpx.Client) -> None:
    (job,), sha256 = make(api), store(api)
    document = api.get("/openapi.json").json()
    paths = [path for path, operations in document["paths"].items() if "get" in operations]
    assert {"/livez", "/jobs", "/jobs/{job_id}/events", "/artifacts/{sha256}"} <= set(paths)
    for path in [*paths, "/openapi.json", "/nope"]:
        url = path.replace("{job_id}", job).replace("{sha256}", sha256)
        head = api.head(url)
        assert head.status_code not in (405, 500), path
        assert head.content == b""
        if path.endswith("/events"):
            continue  # GET would wait for the job's end
        get = api.get(url)
        assert head.status_code == get.status_code, path
        if path != "/metrics":
            seen = [{k: v for k, v in x.headers.items() if k not in VARIES} for x in (head, get)]
            assert seen[0] == seen[1], path


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
