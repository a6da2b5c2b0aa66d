"""Music by the client: asked for, heard as it is made, and written as it comes."""

import asyncio
import threading
import wave
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from atelier import AsyncClient, Client, JobCanceled
from atelier.client.audio_stream import HEADER_SIZE, AudioReader, WavFile
from atelier.client.errors import ConflictError, ConnectionFailed
from tests.app.conftest import worker  # noqa: F401 (a fixture)
from tests.app.operations.test_audio_stream import HEAD as HEADER
from tests.app.operations.test_audio_stream import PARTS, hall, play, stage  # noqa: F401 (fixtures)
from tests.app.serving import Running, eventually
from tests.app.working import Worker

SOUND = HEADER + PARTS[0] + PARTS[1]


def soon(running: Running, worker: Worker, end: Callable[[str], object]) -> threading.Thread:  # noqa: F811
    """A worker that plays two chunks of the next job and ends it, while the test listens."""

    def work() -> None:
        jobs: list[str] = []
        eventually(lambda: jobs.extend(worker.claim()) or jobs, 20)
        eventually(lambda: running.services.notifier.listeners > 0, 20)
        play(running, worker, jobs[0], 0, 1)
        end(jobs[0])

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_job_is_heard_as_it_is_made(hall: Running, worker: Worker, tmp_path: Path) -> None:  # noqa: F811
    with Client(hall.url) as client:
        job = client.audio("folk", seconds=0.5, seed=3, output_format="flac")
        assert job.data["input"].items() >= {"style": "folk", "seconds": 0.5, "seed": 3}.items()
        assert (job.type, job.data["input"]["output_format"]) == ("audio", "flac")
        working = soon(hall, worker, worker.finish)
        assert b"".join(job.stream()) == SOUND
        working.join()
        assert job.status == "completed"
        path = job.listen(tmp_path / "song.wav")
    with wave.open(str(path)) as sound:
        assert sound.getparams()[:4] == (1, 2, 8000, 8000)
        assert sound.readframes(10_000) == PARTS[0] + PARTS[1]


def test_a_job_that_is_canceled_is_told_after_what_there_was(
    hall: Running,  # noqa: F811
    worker: Worker,  # noqa: F811
) -> None:
    received: list[bytes] = []
    with Client(hall.url) as client:
        job = client.audio()
        working = soon(hall, worker, lambda job: worker.finish(job, "canceled"))
        with pytest.raises(JobCanceled):
            received.extend(job.stream())
        working.join()
        silent = client.audio().cancel()
        with pytest.raises(ConflictError, match="was canceled"):
            list(silent.stream())
    assert b"".join(received) == SOUND


def test_asyncio_hears_the_same(hall: Running, worker: Worker, tmp_path: Path) -> None:  # noqa: F811
    async def listen() -> Path:
        async with AsyncClient(hall.url) as client:
            job = await client.audio("jazz", seconds=1)
            working = soon(hall, worker, worker.finish)
            assert b"".join([chunk async for chunk in job.stream()]) == SOUND
            working.join()
            return await job.listen(tmp_path / "song.wav")

    assert asyncio.run(listen()).stat().st_size == len(SOUND)


def answer(status: int = 200, kind: str = "audio/wav") -> httpx.Response:
    request = httpx.Request("GET", "http://x/jobs/1/audio")
    return httpx.Response(status, headers={"content-type": kind}, json=None, request=request)


def test_a_connection_that_broke_is_heard_on() -> None:
    reader, received = AudioReader(3), b""
    for chunks in ([SOUND[:100], SOUND[100:9000]], [], [SOUND[:50]], [SOUND[:9001], SOUND[9001:]]):
        assert not reader.ended
        reader.opened(answer())
        for chunk in chunks:
            received += b"".join(reader.feed(chunk))
        broken = httpx.RemoteProtocolError("broken", request=answer().request)
        reader.closed(answer() if chunks and chunks[-1] == SOUND[9001:] else broken)
    assert (received, reader.ended) == (SOUND, True)


def test_connections_that_break_in_a_row_are_given_up() -> None:
    reader = AudioReader(2)
    broken = httpx.RemoteProtocolError("broken", request=answer().request)
    reader.closed(broken)
    reader.closed(broken)
    with pytest.raises(ConnectionFailed, match="broken"):
        reader.closed(broken)


def test_another_answer_is_no_sound() -> None:
    with pytest.raises(ConnectionFailed, match="not Atelier"):
        AudioReader(1).opened(answer(kind="text/html"))


def test_a_file_without_sound_stays_empty(tmp_path: Path) -> None:
    with WavFile(tmp_path / "none.wav"):
        pass
    assert (tmp_path / "none.wav").read_bytes() == b""
    assert len(HEADER) == HEADER_SIZE
