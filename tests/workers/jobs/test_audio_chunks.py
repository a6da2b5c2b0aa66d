"""What can be heard of a job: its file's samples in chunks, whatever befalls the worker."""

import io
import threading
from typing import Any

import pytest
import soundfile
import torch

from app.core.job_record import sound_key
from app.core.schemas import Job
from models.artifacts import Audio
from models.audio.wavenet import WaveNet
from models.engine.flow import Inputs, Step
from models.engine.noise import seeded
from models.params.base import Params
from tests.models.families import tiny_checkpoint
from tests.workers.conftest import Bench
from tests.workers.test_worker import claim_as, die, reap
from workers.encoders.audio import pcm_of
from workers.jobs.audio_chunks import CHUNK_SECONDS, AudioChunker, Chunk
from workers.queue_client import AudioChunkStored, Claim

RATE, MODEL = 8000, "tiny-wavenet"
SIZE = round(RATE * CHUNK_SECONDS)


def sound(samples: int) -> Audio:
    return Audio(torch.linspace(-1, 1, samples)[None], RATE)


def joined(chunks: list[Chunk]) -> torch.Tensor:
    return torch.cat([chunk.audio.samples for chunk in chunks], 1)


@pytest.mark.parametrize("samples", [1, SIZE - 1, SIZE, SIZE + 1, 3 * SIZE, 3 * SIZE + 7])
@pytest.mark.parametrize("looks", [[], [SIZE // 2], [SIZE], [SIZE + 3, 2 * SIZE, 3 * SIZE]])
def test_chunks_are_the_same_however_often_one_listens(samples: int, looks: list[int]) -> None:
    whole, chunker = sound(samples), AudioChunker()
    chunks = {}
    for look in looks:
        so_far = Audio(whole.samples[:, :look], RATE)
        chunks |= {chunk.number: chunk for chunk in chunker.add(so_far)}
        assert not any(chunk.last for chunk in chunks.values())
    chunks |= {chunk.number: chunk for chunk in chunker.finish(whole)}
    assert list(chunks) == list(range(-(-samples // SIZE)))
    assert [chunk.last for chunk in chunks.values()] == [False] * (len(chunks) - 1) + [True]
    assert torch.equal(joined(list(chunks.values())), whole.samples)
    assert list(AudioChunker().finish(whole))[-1].number == len(chunks) - 1


def test_one_listens_now_and_then() -> None:
    chunker = AudioChunker()
    assert [chunker.is_due(now) for now in (0.0, 0.1, 0.2, 0.3, 0.4, 0.6)] == [
        *(True, False, False),
        *(True, False, True),
    ]


@pytest.fixture
def player(bench: Bench) -> Bench:
    tiny_checkpoint(bench.settings.checkpoints, "wavenet")
    return bench


def ended(bench: Bench, job: str) -> Job:
    """Its kernel may have to be compiled first, which takes its time."""
    return bench.wait(job, 100)


def heard(bench: Bench, job: str, index: int = 0) -> bytes:
    """All chunks of an item, joined."""
    record = bench.redis.hgetall(sound_key(job))
    total = int(record[f"{index}/chunks"])
    return b"".join(bench.store.get(record[f"{index}/{number}"]) for number in range(total))


def hashes(bench: Bench, job: str) -> list[str]:
    record: dict[str, str] = bench.redis.hgetall(sound_key(job))
    return [x for name, x in record.items() if name.partition("/")[2].isdecimal()]


@pytest.mark.slow
@pytest.mark.parametrize("output_format", ["wav", "flac"])
def test_what_is_heard_is_what_the_file_has(player: Bench, output_format: str) -> None:
    player.worker()
    asked = {"seconds": 1.3, "style": "folk", "output_format": output_format}
    job = ended(player, player.submit(3, 2, MODEL, **asked))
    assert (job.status, job.type) == ("completed", "audio")
    for output in job.outputs:
        assert (output.role, output.seconds, output.rate, output.channels) == (
            "audio",
            1.3,
            RATE,
            1,
        )
        assert output.width is None
        samples, _ = soundfile.read(io.BytesIO(player.store.get(output.sha256)), dtype="int16")
        assert samples.tobytes() == heard(player, job.id, output.index)
    assert len(hashes(player, job.id)) == 2 * 3


@pytest.mark.slow
def test_chunks_go_with_their_job(player: Bench) -> None:
    player.worker()
    first = ended(player, player.submit(3, model=MODEL, seconds=1.2))
    second = ended(player, player.submit(3, model=MODEL, seconds=1.2))
    (one, *_) = hashes(player, first.id)
    assert player.references(one) == 2
    player.jobs.delete("local", first.id)
    assert not player.redis.exists(sound_key(first.id))
    assert player.references(one) == 1
    player.redis.zadd("atelier:expiry", {second.id: 1})
    player.until(lambda: player.fetch(second.id).status == "expired")
    assert not player.redis.exists(sound_key(second.id))
    assert player.references(one) == 0
    assert player.redis.zscore("atelier:orphans", one)


def said(bench: Bench, claim: Claim, number: int, data: bytes, last: bool = False) -> bool:
    """A worker without a model reports a chunk."""
    sha256 = bench.store.put(data)
    word = AudioChunkStored(claim, 0, number, last, sha256, len(data), (RATE, 1))
    return bench.client(claim.execution).say([word])[0]


def test_a_chunk_that_is_told_again_counts_once_and_another_takes_its_place(player: Bench) -> None:
    player.submit(model=MODEL)
    (claim,) = claim_as(player, "dead", model=MODEL)
    assert said(player, claim, 0, b"as it was")
    assert said(player, claim, 0, b"as it was")
    (before,) = hashes(player, claim.job)
    assert player.references(before) == 1
    die(player, "dead")
    reap(player)
    assert not said(player, claim, 1, b"too late")
    assert hashes(player, claim.job) == [before]
    (again,) = claim_as(player, "alive", model=MODEL)
    assert said(player, again, 0, b"as it is now")
    (after,) = hashes(player, claim.job)
    assert (player.references(before), player.references(after)) == (0, 1)


@pytest.mark.slow
def test_a_job_that_begins_anew_makes_the_same_chunks(player: Bench) -> None:
    job = player.submit(5, model=MODEL, seconds=1.5)
    (claim,) = claim_as(player, "dead", model=MODEL)
    die(player, "dead")
    reap(player)
    player.worker("first")
    again = ended(player, job)
    assert (again.status, again.attempt) == ("completed", 2)
    other = ended(player, player.submit(5, model=MODEL, seconds=1.5))
    assert hashes(player, job) == hashes(player, other.id)
    assert all(player.references(x) == 2 for x in hashes(player, job))
    assert claim.job == job


@pytest.fixture
def halfway(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Makes a WaveNet one that has made two seconds of four, and goes on when the event is set."""
    go_on = threading.Event()
    monkeypatch.setattr("workers.jobs.audio_chunks.CHECK_SECONDS", 0.0)

    async def story(self: WaveNet, params: Params, rng: torch.Generator, inputs: Inputs) -> Any:
        whole = torch.rand(1, 4 * RATE, generator=rng)
        for done in range(1, 5):
            so_far = Audio(whole[:, : done * RATE], RATE)
            row = self.advance.example
            await Step(self.advance, row, (done, 5), lambda _, now=so_far: now)  # type: ignore[misc]
            while done == 2 and not go_on.wait(0.02):
                await Step(self.advance, row, (done, 5), lambda _, now=so_far: now)  # type: ignore[misc]
        return (Audio(whole, RATE),)

    monkeypatch.setattr(WaveNet, "generate", story)
    return go_on


@pytest.mark.slow
def test_what_is_made_can_be_heard_before_the_rest(player: Bench, halfway: threading.Event) -> None:
    player.worker()
    job = player.submit(1, model=MODEL)
    player.follow(job)
    player.until(lambda: len(hashes(player, job)) == 4, 100)
    assert player.fetch(job).status == "in_progress"
    assert not player.redis.hexists(sound_key(job), "0/chunks")
    halfway.set()
    assert ended(player, job).status == "completed"
    samples = torch.rand(1, 4 * RATE, generator=seeded(1))
    assert heard(player, job) == pcm_of(samples).tobytes()


@pytest.mark.slow
def test_sound_on_its_way_is_made_for_those_who_listen(
    player: Bench, halfway: threading.Event
) -> None:
    player.worker()
    job = player.submit(1, model=MODEL)
    player.until(lambda: player.fetch(job).progress.step >= 2, 100)
    assert hashes(player, job) == []
    player.follow(job)  # who comes late
    player.until(lambda: len(hashes(player, job)) == 4, 100)
    halfway.set()
    assert ended(player, job).status == "completed"


@pytest.mark.slow
def test_a_canceled_job_keeps_what_was_heard(player: Bench, halfway: threading.Event) -> None:
    player.worker()
    job = player.submit(1, model=MODEL)
    player.follow(job)
    player.until(lambda: len(hashes(player, job)) == 4, 100)
    player.jobs.cancel("local", job)
    assert ended(player, job).status == "canceled"
    assert len(hashes(player, job)) == 4


def test_a_chunk_that_can_not_be_stored_fails_its_job(
    player: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.core.store import FileTooLarge, Store

    def picky(self: Store, data: bytes) -> str:
        raise FileTooLarge("the file is too large for the artifact store")

    monkeypatch.setattr(Store, "put", picky)
    player.worker()
    job = ended(player, player.submit(model=MODEL, seconds=0.1))
    assert job.status == "failed"
    assert job.error is not None
    assert job.error.message == "the result could not be stored"
