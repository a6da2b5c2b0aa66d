"""Long inputs are kept in the store, not in the record; listings leave them out."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis

from app.core.settings import Settings
from app.files.long_fields import INLINE, split
from tests.app.operations.test_event_stream import following_job
from tests.app.serving import Running, serving
from tests.app.working import Worker
from tests.models.families import tiny_checkpoint

URL = "/generate/story"
TEXT = "A lighthouse keeper wrote letters to a whale. " * 900  # 41 KB
BODY = {"model": "tiny-language", "kind": "continuation", "text": TEXT, "max_tokens": 4}
SHA = "cd" * 32


@pytest.fixture
def story(settings: Settings, tmp_path: Path) -> Iterator[Running]:
    tiny_checkpoint(settings.checkpoints, "language")
    with serving(settings) as running:
        yield running


def accepted(running: Running) -> dict[str, object]:
    answer = running.client.post(URL, json=BODY)
    assert answer.status_code == 202, answer.text
    job: dict[str, object] = answer.json()
    return job


def size_of(connection: "redis.Redis", job: object) -> int:
    return int(connection.memory_usage(f"rq:job:{job}", samples=0) or 0)


def test_a_long_input_is_seen_whole_and_kept_out_of_the_record(
    story: Running, worker: Worker, connection: "redis.Redis"
) -> None:
    job = accepted(story)
    assert job["input"]["text"] == TEXT  # type: ignore[index]
    assert job["omitted"] == []
    assert size_of(connection, job["id"]) < INLINE
    seen = story.client.get(f"/jobs/{job['id']}").json()
    assert (seen["input"], seen["omitted"]) == (job["input"], [])
    with following_job(story.client, str(job["id"])) as events:
        assert next(events).data["input"] == job["input"]
        story.client.post(f"/jobs/{job['id']}/cancel")
        assert list(events)[-1].data["input"] == job["input"]


def test_a_listing_leaves_long_fields_out_unless_they_are_asked_for(
    story: Running, worker: Worker, connection: "redis.Redis"
) -> None:
    job = accepted(story)
    worker.claim()
    facts = {"sha256": SHA, "content_type": "text/plain", "bytes": len(TEXT), "text": TEXT}
    worker.finish(str(job["id"]), output=facts)
    answer = story.client.get("/jobs")
    (seen,) = answer.json()["data"]
    assert seen["omitted"] == ["input.text", "outputs.0.text"]
    assert "text" not in seen["input"]
    assert seen["outputs"][0]["text"] is None
    assert len(answer.content) < 4000
    (whole,) = story.client.get("/jobs", params={"full": "true"}).json()["data"]
    assert whole["omitted"] == []
    assert whole["input"] == job["input"]
    assert whole["outputs"][0]["text"] == TEXT


def test_a_long_text_is_read_from_its_file(
    story: Running, worker: Worker, connection: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    written = "Ein Wärter schrieb an einen Wal. " * 200
    data = f"The Keeper\n\n{written}\n".encode()
    sha256 = story.services.store.backend.put(data)
    job = str(accepted(story)["id"])
    worker.claim()
    facts = {"sha256": sha256, "content_type": "text/plain", "bytes": len(data)}
    worker.finish(job, output={**facts, "text_bytes": len(written.encode())})
    assert size_of(connection, job) < INLINE
    seen = story.client.get(f"/jobs/{job}").json()
    assert (seen["outputs"][0]["text"], seen["omitted"]) == (written, [])
    assert "text_bytes" not in seen["outputs"][0]
    with following_job(story.client, job) as events:
        assert next(events).data["outputs"][0]["text"] == written
    monkeypatch.setattr(type(story.services.store.backend), "_read", _away)
    seen = story.client.get(f"/jobs/{job}").json()
    assert seen["outputs"][0]["text"] is None
    assert sorted(seen["omitted"]) == ["input.text", "outputs.0.text"]


def test_a_job_whose_long_input_has_expired_names_it(
    story: Running, worker: Worker, connection: "redis.Redis"
) -> None:
    job = str(accepted(story)["id"])
    story.client.post(f"/jobs/{job}/cancel")
    sha256 = connection.hget(f"rq:job:{job}", "input_sha256")
    assert connection.hget(f"atelier:artifact:{sha256}", "refs") == "1"
    connection.zadd("atelier:expiry", {job: 1})
    worker.sweep()
    assert connection.hget(f"atelier:artifact:{sha256}", "refs") == "0"
    seen = story.client.get(f"/jobs/{job}").json()
    assert seen["omitted"] == ["input.text"]
    assert seen["input"]["max_tokens"] == 4


def test_a_deleted_job_lets_go_of_its_long_input(story: Running, connection: "redis.Redis") -> None:
    jobs = [str(accepted(story)["id"]) for _ in range(2)]
    hashes = [connection.hget(f"rq:job:{job}", "input_sha256") for job in jobs]
    assert hashes[0] == hashes[1]  # the same text is kept once
    story.client.delete(f"/jobs/{jobs[0]}")
    assert connection.hget(f"atelier:artifact:{hashes[0]}", "refs") == "1"
    story.client.delete(f"/jobs/{jobs[1]}")
    assert connection.hget(f"atelier:artifact:{hashes[0]}", "refs") == "0"
    assert connection.zscore("atelier:orphans", hashes[0]) is not None


def test_a_job_is_readable_while_the_store_is_away(
    story: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = accepted(story)
    monkeypatch.setattr(type(story.services.store.backend), "get", _away)
    seen = story.client.get(f"/jobs/{job['id']}")
    assert seen.status_code == 200
    assert seen.json()["omitted"] == ["input.text"]


def _away(self: object, *args: object) -> bytes:
    from app.core.store import Unreachable

    raise Unreachable("the artifact store can't be used")


def test_a_job_is_readable_while_the_store_hangs(
    story: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [str(accepted(story)["id"]) for _ in range(2)]
    go_on = threading.Event()
    monkeypatch.setattr(type(story.services.store.backend), "get", lambda *_: go_on.wait(60))
    monkeypatch.setattr(story.services.store._threads, "_timeout", 0.05)
    try:
        seen = story.client.get(f"/jobs/{jobs[0]}")
        assert (seen.status_code, seen.json()["omitted"]) == (200, ["input.text"])
        listed = story.client.get("/jobs", params={"full": "true"}).json()["data"]
        assert [job["omitted"] for job in listed] == [["input.text"]] * 2
        with following_job(story.client, jobs[0]) as events:
            assert next(events).data["omitted"] == ["input.text"]
    finally:
        go_on.set()


def test_short_inputs_stay_in_the_record() -> None:
    short = {"prompt": "x" * 1000, "negative_prompt": "y" * 1000, "n": 1}
    assert split(short) == (short, {})
    assert split({"text": TEXT, "n": 1}) == ({"n": 1}, {"text": TEXT})
    assert json.loads(json.dumps(split({"messages": [TEXT]})[1])) == {"messages": [TEXT]}


def test_many_canceled_jobs_keep_little(
    api: httpx.Client, story: Running, connection: "redis.Redis"
) -> None:
    jobs = [accepted(story)["id"] for _ in range(30)]
    for job in jobs:
        story.client.post(f"/jobs/{job}/cancel")
    kept = sum(int(connection.memory_usage(key, samples=0) or 0) for key in connection.scan_iter())
    assert kept / len(jobs) < 10_000  # the text alone is four times as long
