"""GET /jobs/{id}/audio: sound as it is made, for as many as listen, whenever they come."""

import io
import threading
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import redis

from app.core.job_record import sound_key
from app.core.settings import Settings
from app.core.store import Store
from app.core.wav import wav_header
from tests.app.queue.test_jobs import make
from tests.app.serving import Running, eventually, serving
from tests.app.test_generate import error_of
from tests.app.working import Worker
from tests.conftest import MODEL, save_vae
from tests.models.families import tiny_checkpoint

HEAD = wav_header(8000, 1, None)
PARTS = [bytes([number]) * 8000 for number in range(1, 5)]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, redis_server: str) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("stage")
    save_vae(folder / f"{MODEL}.safetensors")
    tiny_checkpoint(folder, "wavenet")
    settings = Settings(
        state=folder / "state",
        redis_url=redis_server,
        checkpoints=folder,
        **{"default_audio_model": "tiny-wavenet"},
    )
    with serving(settings) as running:
        yield running


@pytest.fixture
def hall(stage: Running, connection: "redis.Redis") -> Running:
    return stage


def play(running: Running, worker: Worker, job: str, *numbers: int, last: bool = False) -> None:
    """What a worker does with the chunks of these numbers."""
    for number in numbers:
        sha256 = running.services.store.backend.put(PARTS[number])
        worker.sound(job, number, sha256, len(PARTS[number]), last and number == numbers[-1])


def start(running: Running, worker: Worker, **asked: Any) -> str:
    job: str = running.client.post("/generate/audio", json=asked).json()["id"]
    worker.claim()
    return job


@contextmanager
def listening(running: Running, job: str) -> Iterator[Iterator[bytes]]:
    """The stream in pieces of a chunk each, after its header."""
    with running.client.stream("GET", f"/jobs/{job}/audio") as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "audio/wav"
        assert answer.headers["cache-control"] == "no-store"
        assert "content-length" not in answer.headers
        yield pieces(answer.iter_bytes())


def pieces(raw: Iterator[bytes]) -> Iterator[bytes]:
    buffer = b""
    for size in [len(HEAD)] + [8000] * 10:
        while len(buffer) < size:
            try:
                buffer += next(raw)
            except StopIteration:
                assert not buffer
                return
        yield buffer[:size]
        buffer = buffer[size:]


def whole(running: Running, job: str) -> bytes:
    return running.client.get(f"/jobs/{job}/audio").content


def test_sound_comes_as_it_is_made_and_ends_before_the_job(hall: Running, worker: Worker) -> None:
    job = start(hall, worker)
    with listening(hall, job) as stream:
        play(hall, worker, job, 0)
        assert [next(stream), next(stream)] == [HEAD, PARTS[0]]
        play(hall, worker, job, 1)
        assert next(stream) == PARTS[1]
        play(hall, worker, job, 2, last=True)
        assert list(stream) == [PARTS[2]]
    assert hall.client.get(f"/jobs/{job}").json()["status"] == "in_progress"
    assert eventually(lambda: hall.services.notifier.listeners == 0)


def test_a_listener_may_come_before_the_job_begins(hall: Running, worker: Worker) -> None:
    job = hall.client.post("/generate/audio", json={}).json()["id"]
    heard: list[bytes] = []
    reader = threading.Thread(target=lambda: heard.append(whole(hall, job)))
    reader.start()
    assert eventually(lambda: hall.services.notifier.listeners == 1)
    worker.claim()
    play(hall, worker, job, 0, 1, last=True)
    reader.join(10)
    assert heard == [HEAD + PARTS[0] + PARTS[1]]


def test_who_comes_late_gets_it_from_the_start_and_after_the_end_the_same(
    hall: Running, worker: Worker
) -> None:
    job = start(hall, worker)
    play(hall, worker, job, 0, 1)
    with listening(hall, job) as stream:
        assert [next(stream) for _ in range(3)] == [HEAD, PARTS[0], PARTS[1]]
        play(hall, worker, job, 2, 3, last=True)
        assert list(stream) == PARTS[2:]
    worker.finish(job)
    data = whole(hall, job)
    assert data == HEAD + b"".join(PARTS)
    with wave.open(io.BytesIO(data)) as sound:
        assert sound.getparams()[:3] == (1, 2, 8000)


def test_a_long_sound_is_read_on_and_on(
    hall: Running, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.operations.audio_stream.AHEAD", 1)
    job = start(hall, worker)
    play(hall, worker, job, 0, 1, 2, 3, last=True)
    assert whole(hall, job) == HEAD + b"".join(PARTS)


def test_many_listen_at_once(hall: Running, worker: Worker) -> None:
    job = start(hall, worker)
    heard: list[bytes] = []

    def listen() -> None:
        with httpx.Client(base_url=hall.url, timeout=30) as client:
            heard.append(client.get(f"/jobs/{job}/audio").content)

    readers = [threading.Thread(target=listen) for _ in range(10)]
    for reader in readers:
        reader.start()
    assert eventually(lambda: hall.services.notifier.listeners == 10, 15)
    play(hall, worker, job, 0, 1, last=True)
    for reader in readers:
        reader.join(20)
    assert heard == [HEAD + PARTS[0] + PARTS[1]] * 10


def test_who_hangs_up_leaves_nothing_behind_and_the_job_as_it_is(
    hall: Running, worker: Worker
) -> None:
    job = start(hall, worker)
    play(hall, worker, job, 0)
    with listening(hall, job) as stream:
        assert next(stream) == HEAD
        assert hall.services.notifier.listeners == 1
    assert eventually(lambda: hall.services.notifier.listeners == 0)
    play(hall, worker, job, 1, last=True)
    worker.finish(job)
    assert hall.client.get(f"/jobs/{job}").json()["status"] == "completed"
    assert whole(hall, job) == HEAD + PARTS[0] + PARTS[1]


def test_a_job_that_begins_anew_is_heard_on_where_one_was(
    hall: Running, worker: Worker, connection: "redis.Redis"
) -> None:
    job = start(hall, worker)
    with listening(hall, job) as stream:
        play(hall, worker, job, 0, 1)
        assert [next(stream) for _ in range(3)] == [HEAD, PARTS[0], PARTS[1]]
        connection.delete("atelier:lease:w1")
        worker._own.run("reap", 0)
        other = Worker(connection, "w2")
        other.claim()
        play(hall, other, job, 0, 1, 2, last=True)
        assert list(stream) == [PARTS[2]]


@pytest.mark.parametrize("end", ["fail", "cancel", "delete"])
def test_a_job_that_ends_on_the_way_ends_its_stream(
    hall: Running, worker: Worker, end: str
) -> None:
    job = start(hall, worker)
    with listening(hall, job) as stream:
        play(hall, worker, job, 0)
        assert [next(stream), next(stream)] == [HEAD, PARTS[0]]
        if end == "delete":
            hall.client.delete(f"/jobs/{job}")
        elif end == "cancel":
            hall.client.post(f"/jobs/{job}/cancel")
            worker.finish(job, "canceled")
        else:
            worker.finish(job, "failed")
        assert list(stream) == []
    if end != "delete":
        assert whole(hall, job) == HEAD + PARTS[0]


def test_a_job_that_ended_without_sound_says_why(
    hall: Running, worker: Worker, connection: "redis.Redis"
) -> None:
    canceled = hall.client.post("/generate/audio", json={}).json()["id"]
    hall.client.post(f"/jobs/{canceled}/cancel")
    failed, silent, over = (start(hall, worker) for _ in range(3))
    worker.finish(failed, "failed")
    worker.finish(silent)
    sha256 = hall.services.store.backend.put(PARTS[0])
    worker.finish(over, output={"sha256": sha256, "content_type": "audio/wav", "bytes": 8000})
    connection.zadd("atelier:expiry", {over: 1})
    worker.sweep()
    fields = {}
    for job in (canceled, failed, silent, over):
        answer = hall.client.get(f"/jobs/{job}/audio")
        fields[job] = (answer.status_code, error_of(answer)["code"])
    assert fields == {
        canceled: (409, "canceled"),
        failed: (500, "out_of_memory"),
        silent: (404, "artifact_not_found"),
        over: (410, "artifact_expired"),
    }


def test_expired_chunks_go_with_the_rest(
    hall: Running, worker: Worker, connection: "redis.Redis"
) -> None:
    job = start(hall, worker)
    play(hall, worker, job, 0, last=True)
    worker.finish(job, output={"sha256": "a" * 64, "content_type": "audio/wav", "bytes": 1})
    assert connection.exists(sound_key(job))
    connection.zadd("atelier:expiry", {job: 1})
    worker.sweep()
    assert not connection.exists(sound_key(job))
    assert hall.client.get(f"/jobs/{job}/audio").status_code == 410


def test_an_item_is_chosen_by_its_index(hall: Running, worker: Worker) -> None:
    job = start(hall, worker, n=2)
    play(hall, worker, job, 0, last=True)
    worker.finish(job)
    assert hall.client.get(f"/jobs/{job}/audio?index=0").content == HEAD + PARTS[0]
    assert hall.client.get(f"/jobs/{job}/audio?index=1").status_code == 404
    for index, status in (("2", 404), ("-1", 422), ("x", 422)):
        answer = hall.client.get(f"/jobs/{job}/audio?index={index}")
        assert (answer.status_code, error_of(answer)["param"]) == (status, "index")


def test_a_picture_makes_no_sound(hall: Running) -> None:
    (job,) = make(hall.client)
    answer = hall.client.get(f"/jobs/{job}/audio")
    assert (answer.status_code, error_of(answer)["message"]) == (404, f"{job} makes no sound")
    assert hall.client.get(f"/jobs/{job}").json()["urls"]["audio"] is None


def test_a_stored_chunk_that_is_gone_ends_the_stream(
    hall: Running, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = start(hall, worker)
    play(hall, worker, job, 0, 1, last=True)
    store: Store = hall.services.store.backend
    store.delete(store.put(PARTS[1]))
    assert whole(hall, job) == HEAD + PARTS[0]


def test_a_server_that_stops_cuts_its_streams_off(settings: Settings) -> None:
    tiny_checkpoint(settings.checkpoints, "wavenet")
    with serving(settings.model_copy(update={"default_audio_model": "tiny-wavenet"})) as running:
        job = running.client.post("/generate/audio", json={}).json()["id"]
        with running.client.stream("GET", f"/jobs/{job}/audio") as answer:
            stopping = threading.Thread(target=running.stop)
            stopping.start()
            with pytest.raises(httpx.RemoteProtocolError):
                answer.read()
            stopping.join()
