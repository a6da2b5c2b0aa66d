"""A worker reads the long fields of a job's input from the store before it starts the job."""

import json
import threading
from dataclasses import replace

import pytest
import redis
from rq.job import Job as RQJob
from rq.serializers import JSONSerializer

from app.core.store import Unreachable
from app.core.stores.folder_store import FolderStore
from app.files.uploads import Uploads
from app.queue.jobs import LongInput, NewJob
from models.artifacts import Text
from models.modalities import TEXT_FORMATS
from tests.workers.conftest import Bench
from workers.delivery.result_builder import stored_output
from workers.encoders.text import text_files
from workers.encoders.types import Facts
from workers.jobs.messages import ItemDone
from workers.queue_client import Claim

SHA = "ab" * 32


def moved(bench: Bench, new: NewJob, name: str) -> NewJob:
    """The same job, with one field of its input in the store."""
    data = json.dumps({name: new.input[name]}).encode()
    sha256 = Uploads(bench.redis, bench.store, bench.settings).keep_input(data)
    short = {k: v for k, v in new.input.items() if k != name}
    return replace(new, input=short, long_input=LongInput([name], sha256, len(data)))


def submit_moved(bench: Bench, seed: int) -> str:
    new = bench.new(seed, temperature=0.5)
    return bench.jobs.submit(moved(bench, new, "temperature")).job.id


def test_a_job_makes_the_same_bytes_wherever_its_input_is_kept(bench: Bench) -> None:
    bench.worker()
    inline = bench.wait(bench.submit(1, temperature=0.5))
    stored = bench.wait(submit_moved(bench, 1))
    other = bench.wait(bench.submit(1, temperature=1.0))
    assert stored.outputs[0].sha256 == inline.outputs[0].sha256
    assert stored.outputs[0].sha256 != other.outputs[0].sha256


def test_an_input_that_is_gone_fails_its_job(bench: Bench) -> None:
    job = submit_moved(bench, 1)
    bench.store.delete(bench.record(job)["input_sha256"])
    bench.worker()
    ended = bench.wait(job)
    assert ended.status == "failed"
    assert ended.error is not None
    assert ended.error.code == "artifact_expired"
    assert bench.wait(bench.submit(2)).status == "completed"


def test_a_requeued_job_whose_long_input_has_expired_runs_with_no_other(bench: Bench) -> None:
    job = submit_moved(bench, 1)
    bench.jobs.cancel("local", job)
    bench.redis.zadd("atelier:expiry", {job: 1})
    bench.client("one").sweep()
    assert "input_sha256" not in bench.record(job)
    with redis.Redis.from_url(bench.settings.redis_address) as raw:
        bench.redis.hset(f"rq:job:{job}", "status", "failed")
        bench.redis.zadd(f"rq:failed:{bench.record(job)['origin']}", {job: 4102444800})
        RQJob.fetch(job, raw, JSONSerializer).requeue()
    bench.worker()
    ended = bench.wait(job)
    assert ended.error is not None
    assert (ended.error.code, ended.error.param) == ("artifact_expired", "input")


def test_an_input_that_can_not_be_read_now_is_asked_for_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.retry.LONGEST_PAUSE", 0.01)
    tries, read = [0], FolderStore._read

    def refuse(self: FolderStore, name: str, start: int, length: int) -> bytes:
        tries[0] += 1
        if tries[0] <= 20:
            raise Unreachable("access is denied")
        return read(self, name, start, length)

    monkeypatch.setattr(FolderStore, "_read", refuse)
    bench.worker()
    job = bench.wait(submit_moved(bench, 1))
    assert (job.status, job.attempt) == ("completed", 1)
    assert tries[0] > 20


@pytest.mark.slow
def test_a_job_whose_input_is_being_read_can_be_canceled_and_given_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, read = threading.Event(), FolderStore._read
    asked = threading.Semaphore(0)

    def hang(self: FolderStore, *args: object) -> bytes:
        asked.release()
        go_on.wait(60)
        return read(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(FolderStore, "_read", hang)
    process = bench.worker(drain_grace=0.1)
    jobs = [submit_moved(bench, seed) for seed in (1, 2)]
    assert all(asked.acquire(timeout=20) for _ in jobs)
    try:
        bench.jobs.cancel("local", jobs[0])
        assert bench.wait(jobs[0], 10).status == "canceled"
        bench.stop(process)
        assert bench.record(jobs[1])["status"] == "queued"
    finally:
        go_on.set()
    bench.worker("two")
    assert bench.wait(jobs[1]).status == "completed"


@pytest.mark.parametrize("output_format", TEXT_FORMATS)
@pytest.mark.parametrize("title", [None, "The Keeper"])
def test_a_long_text_is_noted_by_its_place_in_its_file(
    output_format: str, title: str | None
) -> None:
    text = "Ein Wärter schrieb an einen Wal. " * 200
    facts = Facts("m", SHA, {}, 1)
    (file,) = text_files(Text(text, 1, 2, "stop", title), output_format, facts)
    claim = Claim("job", "execution", {})
    item = ItemDone(claim, 0, (), output_format, facts, 1, 1)
    output = stored_output(item, file, SHA).output
    assert "text" not in output
    start = len(file.data) - 1 - output["text_bytes"]
    assert file.data[start:-1].decode() == text
    (short,) = text_files(Text("short", 1, 2, "stop", title), output_format, facts)
    assert stored_output(item, short, SHA).output["text"] == "short"
