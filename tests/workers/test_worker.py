"""The batching worker over a real server: claims, commits, cancels, deaths and drains."""

import hashlib
import io
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from PIL import Image as Picture

from app.core.job_record import queue_name
from models.checkpoint.weights import load
from models.engine.batching import BatchedFn
from models.engine.flow import run_alone
from models.engine.noise import seeded
from models.nets.vae import VAENet
from models.params.base import VAEParams, item_seed
from tests.models.families import load_family, tiny_checkpoint
from tests.workers.conftest import Bench
from workers.encoders.encode import encode
from workers.encoders.types import Facts
from workers.queue_client import Claim, JobCommit, ProgressUpdate, QueueCapacity

STAMP = "2026-01-01T00:00:00.000000Z"


def test_a_job_is_done_with_its_file_its_events_and_its_record(bench: Bench) -> None:
    bench.worker()
    job = bench.wait(bench.submit(seed=7, n=3))
    assert (job.status, job.attempt, job.determinism) == ("completed", 1, "bitwise")
    assert job.progress.value == 1
    assert [o.index for o in job.outputs] == [0, 1, 2]
    assert [o.seed for o in job.outputs] == [7, item_seed(7, 1), item_seed(7, 2)]
    for output in job.outputs:
        data = bench.store.get(output.sha256)
        assert hashlib.sha256(data).hexdigest() == output.sha256
        picture = Picture.open(io.BytesIO(data))
        assert picture.size == (output.width, output.height) == (28, 28)
        facts = json.loads(picture.info["atelier"])
        assert facts["model"] == "tiny-vae"
        assert facts["seed"] == output.seed
        assert job.id not in json.dumps(picture.info)
    events = bench.events(job.id)
    assert events[:2] == ["status", "status"]
    assert events.count("output") == 3
    assert events[-1] == "completed"


@pytest.mark.slow
def test_the_file_is_what_the_flow_alone_makes(bench: Bench) -> None:
    bench.worker()
    job = bench.wait(bench.submit(seed=3, n=5))
    path = bench.settings.checkpoints / "tiny-vae.safetensors"
    family, params = load_family(path), VAEParams()
    for output in job.outputs:
        (artifact,) = run_alone(family.generate(params, seeded(output.seed)))
        facts = Facts("tiny-vae", load(path).sha256, params.model_dump(), output.seed)
        data = encode(artifact, "png", facts)[0].data
        assert hashlib.sha256(data).hexdigest() == output.sha256


@pytest.mark.slow
def test_a_returned_seed_posted_alone_repeats_its_file_on_another_worker(bench: Bench) -> None:
    first = bench.worker("one")
    many = bench.wait(bench.submit(seed=3, n=6))
    bench.stop(first)
    bench.worker("two")
    for output in many.outputs:
        alone = bench.wait(bench.submit(seed=output.seed))
        assert alone.outputs[0].sha256 == output.sha256


@pytest.mark.slow
def test_a_hundred_jobs_of_two_models_all_end_once(bench: Bench) -> None:
    bench.worker()
    ids = [
        bench.submit(seed=i, n=1 + i % 3, model=("tiny-vae", "tiny-gan")[i % 2]) for i in range(100)
    ]
    for i in ids:
        assert bench.wait(i).status == "completed"
        assert bench.events(i).count("completed") == 1
    assert bench.redis.smembers("atelier:inflight:one") == set()
    assert not bench.redis.keys("rq:execution:*")


@pytest.mark.slow
def test_more_items_than_room_are_admitted_as_room_allows(bench: Bench) -> None:
    bench.worker(capacity=4)
    job = bench.wait(bench.submit(n=30))
    assert len(job.outputs) == 30


@pytest.mark.slow
def test_a_running_job_is_canceled_and_leaves_nothing(bench: Bench, slow: threading.Event) -> None:
    process = bench.worker()
    running, other = bench.submit(1), bench.submit(2)
    bench.until(lambda: bench.fetch(running).progress.step > 3)
    start = time.monotonic()
    assert bench.jobs.cancel("local", running).status == "canceling"
    job = bench.wait(running)
    assert time.monotonic() - start < 5
    assert (job.status, job.outputs) == ("canceled", [])
    assert bench.events(running)[-2:] == ["status", "canceled"]
    assert bench.fetch(other).status == "in_progress"
    bench.until(lambda: [c.job for c in process.loop.claims] == [other])
    assert bench.jobs.cancel("local", running) == job  # again: unchanged
    slow.set()
    assert bench.wait(other).status == "completed"


def test_a_waiting_job_is_canceled_at_once(bench: Bench) -> None:
    job = bench.submit()
    assert bench.jobs.cancel("local", job).status == "canceled"
    assert bench.redis.llen("rq:queue:" + bench.record(job)["origin"]) == 0


@pytest.mark.slow
def test_a_deleted_job_stops_and_is_gone(bench: Bench, slow: threading.Event) -> None:
    process = bench.worker()
    job = bench.submit()
    bench.until(lambda: bench.fetch(job).progress.step > 3)
    bench.jobs.delete("local", job)
    bench.until(lambda: not process.loop.claims)
    assert bench.record(job) == {}
    assert bench.events(job)[-1] == "canceled"


def test_a_job_past_its_deadline_fails_running_or_waiting(
    bench: Bench, slow: threading.Event
) -> None:
    hasty = bench.settings.model_copy(update={"job_deadline": 0.5})
    from app.queue.jobs import Jobs

    jobs = Jobs(bench.redis, hasty)
    bench.worker()
    running = jobs.submit(bench.new(1)).job.id
    waiting = jobs.submit(bench.new(2, model="tiny-gan")).job.id
    bench.redis.hset(f"rq:job:{waiting}", "origin", "model:nobody@0")
    bench.redis.lrem("rq:queue:" + queue_name("tiny-gan", bench.sha256("tiny-gan")), 0, waiting)
    bench.redis.rpush("rq:queue:model:nobody@0", waiting)
    bench.redis.sadd("rq:queues", "rq:queue:model:nobody@0")
    for job in (running, waiting):
        ended = bench.wait(job)
        assert ended.status == "failed"
        assert ended.error is not None
        assert ended.error.code == "deadline_exceeded"


@pytest.mark.slow
def test_sigterm_puts_back_what_it_cannot_finish_in_order(
    bench: Bench, slow: threading.Event
) -> None:
    process = bench.worker(drain_grace=0.3)
    ids = [bench.submit(i) for i in range(4)]
    bench.until(lambda: all(bench.fetch(i).status == "in_progress" for i in ids))
    late = bench.submit(9, model="tiny-gan")
    bench.wait(late)
    bench.stop(process)
    queue = bench.record(ids[0])["origin"]
    assert bench.redis.lrange(f"rq:queue:{queue}", 0, -1) == ids
    for i in ids:
        assert bench.fetch(i).status == "in_progress"
        assert "deaths" not in bench.record(i)
    slow.set()
    bench.worker("two")
    for i in ids:
        job = bench.wait(i)
        assert (job.status, job.attempt) == ("completed", 2)


@pytest.mark.slow
def test_sigterm_finishes_what_ends_within_the_grace(bench: Bench, slow: threading.Event) -> None:
    process = bench.worker(drain_grace=30)
    job = bench.submit()
    bench.until(lambda: bench.fetch(job).progress.step > 1)
    threading.Timer(0.3, slow.set).start()
    bench.stop(process)
    assert bench.fetch(job).status == "completed"


def claim_as(bench: Bench, worker: str, items: int = 32, model: str = "tiny-vae") -> list[Claim]:
    """What a worker of this name gets when it looks; it then says no more."""
    client = bench.client(worker)
    client.renew({})
    room = QueueCapacity(queue_name(model, bench.sha256(model)), True, items)
    return client.look([], items, [room], STAMP).claims


def die(bench: Bench, worker: str) -> None:
    """The lease of a worker that is gone has run out."""
    bench.redis.delete(f"atelier:lease:{worker}")


def reap(bench: Bench) -> list[tuple[str, str, str]]:
    return bench.client("reaper", lease=0.001, heartbeat=0.001).reap()


def test_the_dead_give_back_and_the_job_ends_elsewhere(bench: Bench) -> None:
    ids = [bench.submit(i) for i in range(5)]
    assert [c.job for c in claim_as(bench, "dead")] == ids
    die(bench, "dead")
    assert [fate for _, _, fate in reap(bench)] == ["put back"] * 5
    assert bench.fetch(ids[0]).status == "in_progress"
    bench.worker("alive")
    for i in ids:
        job = bench.wait(i)
        assert (job.status, job.attempt) == ("completed", 2)
    assert not bench.redis.exists("atelier:inflight:dead")


def test_a_job_at_two_deaths_runs_alone_and_fails_after_two_more(bench: Bench) -> None:
    poison, mate = bench.submit(1), bench.submit(2)
    for death in range(2):
        assert len(claim_as(bench, f"dead{death}")) == 2
        die(bench, f"dead{death}")
        reap(bench)
    for death in range(2, 4):
        assert [c.job for c in claim_as(bench, f"dead{death}")] == [poison]
        die(bench, f"dead{death}")
        reap(bench)
    job = bench.fetch(poison)
    assert job.status == "failed"
    assert job.error is not None
    assert job.error.code == "worker_lost"
    assert bench.events(poison)[-1] == "failed"
    bench.worker("alive")
    assert bench.wait(mate).status == "completed"


def test_a_commit_is_fenced_by_its_execution(bench: Bench) -> None:
    job = bench.submit()
    (old,) = claim_as(bench, "slowpoke")
    die(bench, "slowpoke")
    reap(bench)
    (new,) = claim_as(bench, "slowpoke")  # the same worker may claim its own reaped job again
    client = bench.client("slowpoke")
    assert old.execution != new.execution
    assert client.say([JobCommit(old, "finished", STAMP)]) == [False]
    assert bench.fetch(job).status == "in_progress"
    assert client.say([JobCommit(new, "finished", STAMP)]) == [True]
    assert client.say([JobCommit(new, "finished", STAMP)]) == [True]  # the first answer was lost
    assert bench.events(job).count("completed") == 1


def test_a_word_said_twice_is_heard_once_and_after_the_end_not_at_all(bench: Bench) -> None:
    job = bench.submit()
    (claim,) = claim_as(bench, "one")
    client = bench.client("one")
    word = ProgressUpdate(claim, 1, 3, 10, [("delta", {"index": 0, "offset": 0, "text": "once"})])
    assert client.say([word, word]) == [True, False]
    assert [draft.text for draft in bench.fetch(job).drafts] == ["once"]
    bench.redis.script_flush()  # as after a restart of the server
    later = ProgressUpdate(claim, 2, 4, 10)
    assert client.say(
        [later, JobCommit(claim, "finished", STAMP), ProgressUpdate(claim, 3, 5, 10)]
    ) == [
        True,
        True,
        False,
    ]
    assert bench.events(job).count("delta") == 1
    assert bench.events(job)[-1] == "completed"


def test_a_claim_whose_answer_was_lost_is_put_back_uncharged(bench: Bench) -> None:
    job = bench.submit()
    claim_as(bench, "one")
    bench.worker("one")
    ended = bench.wait(job)
    assert (ended.status, ended.attempt) == ("completed", 2)
    assert "deaths" not in bench.record(job)


@pytest.mark.slow
def test_nobody_runs_beside_a_job_that_must_run_alone(bench: Bench, slow: threading.Event) -> None:
    bench.worker()
    alone = bench.submit(1)
    bench.redis.hset(f"rq:job:{alone}", "alone", 1)
    bench.until(lambda: bench.fetch(alone).status == "in_progress")
    mate = bench.submit(2)
    time.sleep(0.3)
    assert bench.fetch(mate).status == "queued"
    slow.set()
    assert bench.wait(mate).status == "completed"


@pytest.mark.slow
def test_a_broken_model_fails_its_jobs_with_the_reason(bench: Bench, tmp_path: Path) -> None:
    from models.checkpoint.weights import save

    checkpoint = load(tiny_checkpoint(tmp_path / "elsewhere", "vae"))
    tensors = dict(checkpoint.tensors)
    tensors["decoder.0.weight"] = torch.zeros(3, 3)
    save(bench.settings.checkpoints / "bent.safetensors", checkpoint.header, tensors)
    bench.worker()
    job = bench.wait(bench.submit(model="bent"))
    assert job.status == "failed"
    assert job.error is not None
    assert "tensor decoder.0.weight has shape (3, 3)" in job.error.message
    assert bench.wait(bench.submit()).status == "completed"


def test_a_model_that_does_not_fit_the_budget_says_so(bench: Bench) -> None:
    bench.worker(model_memory=1000)
    job = bench.wait(bench.submit())
    assert job.error is not None
    assert "ATELIER_MODEL_MEMORY" in job.error.message


@pytest.mark.slow
def test_models_take_turns_under_a_budget_for_one(bench: Bench) -> None:
    from models.engine.batching import Placement
    from models.registry import CheckpointRegistry
    from workers.model_cache import loaded_bytes

    entries = CheckpointRegistry(bench.settings.checkpoints).entries()
    budget = max(loaded_bytes(e, Placement(torch.device("cpu"))) for e in entries.values())
    process = bench.worker(model_memory=budget, max_affinity_wait=0.1)
    ids = [bench.submit(i, model=("tiny-vae", "tiny-gan")[i % 2]) for i in range(8)]
    assert [bench.wait(i).status for i in ids] == ["completed"] * 8
    assert len(process.loop._cache.loaded) == 1


def test_a_row_that_fails_fails_its_job_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = VAENet.decode

    def fragile(self: VAENet, z: torch.Tensor) -> torch.Tensor:
        if (z.abs() == 0).all(dim=1).any() and len(z) and (z == 0).all(dim=1).sum() > 3:
            return decode(self, z)
        return decode(self, torch.where(z.abs().sum(dim=1, keepdim=True) < 1e-3, torch.nan, z))

    monkeypatch.setattr(VAENet, "decode", fragile)
    bench.worker()
    ids = [bench.submit(i, temperature=0.0 if i == 2 else 1.0) for i in range(5)]
    jobs = [bench.wait(i) for i in ids]
    assert [j.status for j in jobs] == ["completed", "completed", "failed", *["completed"] * 2]
    assert jobs[2].error is not None
    assert "not finite" in jobs[2].error.message


@pytest.mark.slow
def test_rq_info_tells_the_truth_while_a_batch_runs(bench: Bench, slow: threading.Event) -> None:
    bench.worker("busy")
    running = [bench.submit(i) for i in range(3)]
    bench.until(lambda: all(bench.fetch(i).status == "in_progress" for i in running))
    info = [sys.executable, "-m", "rq.cli", "info", "--url", bench.settings.redis_address]
    process_output = subprocess.run(info, capture_output=True, text=True, check=True).stdout
    assert "3 executing" in process_output
    assert "busy" in process_output
    slow.set()
    for i in running:
        bench.wait(i)
    process_output = subprocess.run(info, capture_output=True, text=True, check=True).stdout
    assert "0 executing, 3 finished, 0 failed" in process_output


@pytest.mark.slow
def test_rq_suspend_holds_new_jobs_and_resume_lets_them_go(
    bench: Bench, slow: threading.Event
) -> None:
    from rq.suspension import resume, suspend

    bench.worker()
    running = bench.submit(1)
    bench.until(lambda: bench.fetch(running).status == "in_progress")
    suspend(bench.redis)
    waiting = bench.submit(2)
    time.sleep(0.3)
    assert bench.fetch(waiting).status == "queued"
    resume(bench.redis)
    slow.set()
    assert bench.wait(waiting).status == "completed"


@pytest.mark.slow
def test_rq_can_stop_one_of_the_jobs_in_flight(bench: Bench, slow: threading.Event) -> None:
    import redis
    from rq.command import send_stop_job_command
    from rq.serializers import JSONSerializer

    bench.worker()
    ids = [bench.submit(i) for i in range(3)]
    bench.until(lambda: all(bench.fetch(i).status == "in_progress" for i in ids))
    raw = redis.Redis.from_url(bench.settings.redis_address)
    send_stop_job_command(raw, ids[1], serializer=JSONSerializer)
    assert bench.wait(ids[1]).status == "canceled"
    raw.close()
    slow.set()
    assert [bench.wait(i).status for i in ids] == ["completed", "canceled", "completed"]


def test_rq_requeue_runs_a_failed_job_again(bench: Bench) -> None:
    import redis
    from rq.job import Job
    from rq.serializers import JSONSerializer

    job = bench.submit()
    for death in range(4):
        bench.redis.hset(f"rq:job:{job}", "alone", 1)
        claim_as(bench, f"dead{death}")
        die(bench, f"dead{death}")
        reap(bench)
    assert bench.fetch(job).status == "failed"
    raw = redis.Redis.from_url(bench.settings.redis_address)
    Job.fetch(job, raw, JSONSerializer).requeue()
    raw.close()
    bench.worker()
    bench.until(lambda: bench.fetch(job).status == "completed")
    ended = bench.fetch(job)
    assert ended.error is None
    assert len(ended.outputs) == 1


@pytest.mark.slow
def test_results_expire_and_records_outlive_them(bench: Bench) -> None:
    from app.queue.jobs import Jobs

    brief = bench.settings.model_copy(
        update={"result_ttl": 0.5, "record_ttl": 1.5, "orphan_ttl": 0.2}
    )
    jobs = Jobs(bench.redis, brief)
    bench.worker(**{"orphan_ttl": 0.2})
    job = bench.wait(jobs.submit(bench.new(1)).job.id)
    sha256 = job.outputs[0].sha256
    bench.until(lambda: bench.fetch(job.id).status == "expired")
    bench.until(lambda: not bench.store.exists(sha256))
    assert bench.redis.hget(f"atelier:artifact:{sha256}", "was:local") == "1"
    bench.until(lambda: bench.record(job.id) == {})
    assert bench.redis.zrange("atelier:jobs:local", 0, -1) == []


@pytest.mark.slow
def test_deleting_one_job_never_takes_anothers_result(bench: Bench) -> None:
    bench.worker(**{"orphan_ttl": 0.1})
    one, two = bench.wait(bench.submit(5)), bench.wait(bench.submit(5))
    sha256 = one.outputs[0].sha256
    assert sha256 == two.outputs[0].sha256
    bench.jobs.delete("local", one.id)
    time.sleep(0.6)
    assert bench.store.exists(sha256)
    assert bench.redis.hget(f"atelier:artifact:{sha256}", "owner:local") == "1"


@pytest.mark.slow
def test_the_batched_example_is_what_the_worker_proves(bench: Bench) -> None:
    process = bench.worker()
    bench.wait(bench.submit())
    (model,) = process.loop._cache.loaded.values()
    assert all(isinstance(run, BatchedFn) for run in model.family.batched)
    facts = json.loads(bench.redis.get("atelier:lease:one") or "{}")
    ready = {"state": "ready", "determinism": "bitwise", "bytes": model.bytes}
    bench.until(
        lambda: (
            json.loads(bench.redis.get("atelier:lease:one") or "{}")["models"]
            == {model.entry.sha256: ready}
        )
    )
    assert facts["capacity"] == bench.settings.capacity
