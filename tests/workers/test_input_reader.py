"""Jobs that refer to posted pictures: read beside the work, and held as long as they are needed."""

import io
import threading
from collections.abc import Callable

import numpy as np
import pytest
import redis
import torch
from PIL import Image as Picture
from rq.job import Job as RQJob
from rq.serializers import JSONSerializer

import workers.retry
from app.core.errors import Gone
from app.core.store import Missing, Unreachable
from app.core.stores.folder_store import FolderStore
from app.queue.jobs import Idempotency, Jobs
from models.engine.flow import run_alone
from models.engine.noise import seeded
from models.params.base import VAEParams
from tests.models.families import load_family
from tests.workers.conftest import Bench
from tests.workers.test_worker import claim_as, die, reap
from workers.encoders.encode import encode
from workers.encoders.types import Facts
from workers.input_reader import KEPT_PIXELS, picture_of

COLOURS = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)


def png(pixels: np.ndarray) -> bytes:  # type: ignore[type-arg]
    out = io.BytesIO()
    Picture.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


PNG = png(COLOURS)
Read = Callable[[FolderStore, str, int, int], bytes]


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """A store whose reads wait: set when one has begun, and to be set to let them go on."""
    reached, go_on, read = threading.Event(), threading.Event(), FolderStore._read

    def slowly(self: FolderStore, name: str, start: int, length: int) -> bytes:
        reached.set()
        go_on.wait(30)
        return read(self, name, start, length)

    monkeypatch.setattr(FolderStore, "_read", slowly)
    return reached, go_on


def test_a_file_becomes_a_picture_of_its_pixels() -> None:
    image = picture_of(PNG)
    assert image.pixels.shape == (3, 40, 30)
    pixels = image.pixels.mul(255).round().byte().permute(1, 2, 0)
    np.testing.assert_array_equal(pixels.numpy(), COLOURS)
    assert torch.equal(picture_of(png(COLOURS[:, :, 0])).pixels[0], image.pixels[0])


def test_a_large_picture_is_kept_small() -> None:
    ramp = np.linspace(0, 255, 1500, dtype=np.uint8)[None].repeat(1500, 0)
    pixels = picture_of(png(ramp)).pixels
    assert pixels.shape == (1, 750, 750)
    assert pixels[0].numel() <= KEPT_PIXELS
    assert torch.allclose(pixels[0, 0], torch.linspace(0, 1, 750), atol=2 / 255)


@pytest.mark.slow
def test_a_posted_picture_is_what_its_job_starts_from(bench: Bench) -> None:
    bench.worker()
    sha256 = bench.post(PNG)
    job = bench.wait(bench.submit(3, init_image=sha256, strength=0.2))
    family = load_family(bench.settings.checkpoints / "tiny-vae.safetensors")
    params = VAEParams(init_image=sha256, strength=0.2)
    inputs = {"init_image": picture_of(PNG)}
    (image,) = run_alone(family.generate(params, seeded(3), inputs))
    (output,) = job.outputs
    picture = Picture.open(io.BytesIO(bench.store.get(output.sha256)))
    facts_free = Picture.open(io.BytesIO(encode(image, "png", facts_of(params))[0].data))
    np.testing.assert_array_equal(np.asarray(picture), np.asarray(facts_free))
    other = bench.wait(bench.submit(3, init_image=bench.post(png(COLOURS[::-1])), strength=0.2))
    assert other.outputs[0].sha256 != output.sha256


def facts_of(params: VAEParams) -> Facts:
    return Facts("any", "", params.model_dump(), 0)


@pytest.mark.slow
def test_others_run_while_a_picture_is_read(
    bench: Bench, stuck: tuple[threading.Event, threading.Event]
) -> None:
    reached, go_on = stuck
    bench.worker()
    waiting = bench.submit(init_image=bench.post(PNG))
    assert reached.wait(20)
    assert bench.wait(bench.submit(2), 8).status == "completed"
    assert bench.fetch(waiting).status == "in_progress"
    go_on.set()
    assert bench.wait(waiting, 8).status == "completed"


@pytest.mark.slow
@pytest.mark.parametrize("end", ["cancel", "delete", "deadline"])
def test_a_job_ends_while_its_picture_is_read(
    bench: Bench, stuck: tuple[threading.Event, threading.Event], end: str
) -> None:
    reached, go_on = stuck
    process = bench.worker()
    sha256 = bench.post(PNG)
    job = bench.submit(init_image=sha256)
    assert reached.wait(20)
    assert bench.references(sha256) == 2
    if end == "deadline":
        bench.redis.hset(f"rq:job:{job}", "deadline", "1.0")
    else:
        {"cancel": bench.jobs.cancel, "delete": bench.jobs.delete}[end]("local", job)
    bench.until(lambda: not process.loop.claims)
    go_on.set()
    if end != "delete":
        assert bench.fetch(job).status == {"cancel": "canceled", "deadline": "failed"}[end]
    assert bench.wait(bench.submit(2), 8).status == "completed"
    assert bench.references(sha256) == 1


@pytest.mark.slow
def test_a_drain_puts_back_a_job_whose_picture_is_read(
    bench: Bench, stuck: tuple[threading.Event, threading.Event]
) -> None:
    reached, go_on = stuck
    process = bench.worker(drain_grace=0.1)
    sha256 = bench.post(PNG)
    job = bench.submit(init_image=sha256)
    assert reached.wait(20)
    bench.stop(process)
    assert bench.references(sha256) == 2
    go_on.set()
    bench.worker("two")
    ended = bench.wait(job)
    assert (ended.status, ended.attempt) == ("completed", 2)
    assert bench.references(sha256) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("failures", "error", "code"),
    [
        (9, Unreachable("away"), None),
        (99, Missing("gone"), "artifact_expired"),
    ],
)
def test_a_store_that_fails_is_asked_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, failures: int, error: Exception, code: str | None
) -> None:
    monkeypatch.setattr(workers.retry, "LONGEST_PAUSE", 0.01)
    read, tries = FolderStore._read, [0]

    def flaky(self: FolderStore, name: str, start: int, length: int) -> bytes:
        tries[0] += 1
        if tries[0] <= failures:
            raise error
        return read(self, name, start, length)

    monkeypatch.setattr(FolderStore, "_read", flaky)
    bench.worker()
    job = bench.wait(bench.submit(init_image=bench.post(PNG)))
    reported = job.error and (job.error.code, job.error.param)
    assert reported == (code and (code, "init_image"))
    assert job.status == ("failed" if code else "completed")


@pytest.mark.slow
def test_a_file_that_is_no_picture_fails_its_job_in_words(bench: Bench) -> None:
    bench.worker()
    job = bench.wait(bench.submit(init_image=bench.post(PNG[:100])))
    assert job.error is not None
    assert job.error.model_dump() == {
        "message": "init_image can't be read: the file is broken or cut short",
        "type": "invalid_request_error",
        "param": "init_image",
        "code": "invalid_parameter",
    }


# -- references


def brief(bench: Bench) -> Jobs:
    """Jobs, and through them uploads, whose results live for a moment."""
    hasty = {"result_ttl": 0.2, "record_ttl": 60.0, "orphan_ttl": 0.2}
    bench.settings = bench.settings.model_copy(update=hasty)
    return Jobs(bench.redis, bench.settings)


@pytest.mark.slow
def test_an_input_outlives_its_upload_while_a_job_waits_for_it(bench: Bench) -> None:
    jobs = brief(bench)
    sha256 = bench.post(PNG)
    job = jobs.submit(bench.new(init_image=sha256)).job.id
    client = bench.client("one")
    bench.until(lambda: client.sweep() == [] and bench.references(sha256) == 1)  # the upload's went
    for _ in range(100):
        assert client.sweep() == []
    assert bench.redis.hget(f"atelier:artifact:{sha256}", "owner:local") == "1"
    bench.worker()
    assert bench.wait(job).error is None
    bench.until(lambda: not bench.store.exists(sha256))
    assert bench.references(sha256) == 0


@pytest.mark.slow
def test_every_end_drops_one_reference(bench: Bench) -> None:
    sha256 = bench.post(PNG)
    ids = [bench.submit(i, init_image=sha256) for i in range(4)]
    assert bench.references(sha256) == 5
    bench.jobs.cancel("local", ids[0])  # while it waits
    bench.jobs.cancel("local", ids[0])
    bench.jobs.delete("local", ids[0])
    assert bench.references(sha256) == 4
    bench.jobs.delete("local", ids[1])
    assert bench.references(sha256) == 3
    for death in range(2):  # put back: not an end
        claim_as(bench, f"dead{death}")
        die(bench, f"dead{death}")
        reap(bench)
    assert bench.references(sha256) == 3
    bench.worker()
    for i in ids[2:]:
        bench.wait(i)
    assert bench.references(sha256) == 1
    for i in ids[2:]:
        bench.jobs.delete("local", i)
    assert bench.references(sha256) == 1
    assert bench.redis.hget(f"atelier:artifact:{sha256}", "owner:local") == "1"


def test_a_deadline_in_a_queue_that_nobody_reads_drops_the_reference(bench: Bench) -> None:
    sha256 = bench.post(PNG)
    job = bench.submit(init_image=sha256)
    bench.redis.hset(f"rq:job:{job}", "deadline", "1.0")
    client = bench.client("one")
    client.sweep()
    assert bench.fetch(job).status == "failed"
    assert bench.references(sha256) == 1
    bench.redis.zadd("atelier:expiry", {job: 1})
    client.sweep()
    bench.redis.zadd("atelier:expiry", {job: 1})
    client.sweep()  # now its record is gone too
    assert bench.record(job) == {}
    assert bench.references(sha256) == 1


def test_a_job_is_not_accepted_without_its_input_or_with_anothers(bench: Bench) -> None:
    theirs = bench.post(PNG, owner="bob")
    for sha256 in (theirs, "ab" * 32):
        with pytest.raises(Gone) as caught:
            bench.submit(init_image=sha256)
        assert caught.value.param == "init_image"
    assert bench.references(theirs) == 1
    assert not bench.redis.keys("rq:job:*")


def test_a_replayed_request_refers_once(bench: Bench) -> None:
    sha256 = bench.post(PNG)
    key = Idempotency.of("local", "/generate/image", "k", {})
    for _ in range(3):
        bench.jobs.submit(bench.new(init_image=sha256), key)
    assert bench.references(sha256) == 2


@pytest.mark.slow
@pytest.mark.parametrize("there", [True, False])
def test_rq_requeue_takes_the_input_again_if_it_is_there(bench: Bench, there: bool) -> None:
    sha256 = bench.post(PNG)
    job = bench.submit(init_image=sha256)
    bench.redis.hset(f"rq:job:{job}", "deadline", "1.0")
    bench.client("one").sweep()
    assert bench.fetch(job).status == "failed"
    if not there:
        bench.redis.delete(f"atelier:artifact:{sha256}")
        bench.store.delete(sha256)
    with redis.Redis.from_url(bench.settings.redis_address) as raw:
        RQJob.fetch(job, raw, JSONSerializer).requeue()
    bench.redis.hdel(f"rq:job:{job}", "error")
    assert [c.job for c in claim_as(bench, "dead")] == [job]
    assert bench.references(sha256) == (2 if there else 0)
    die(bench, "dead")
    reap(bench)
    bench.worker()
    ended = bench.wait(job)
    assert (ended.error and ended.error.code) == (None if there else "artifact_expired")
    assert bench.references(sha256) == (1 if there else 0)
