"""Music over the whole service: as files, as it is made, and the same bytes again."""

import io
import os
import signal
import subprocess
import threading
from pathlib import Path

import httpx
import mido
import pytest
import soundfile

from atelier import BadRequestError, Client
from models.music.midi import read_midi, write_midi
from models.score import Note, Score
from tests.atelier.commands import atelier, refused
from tests.e2e.conftest import Stack

pytestmark = pytest.mark.stack

TUNE = Score((Note(0.0, 0.4, 60), Note(0.4, 0.8, 62)))
HEAD = 44


def samples(data: bytes) -> bytes:
    return bytes(soundfile.read(io.BytesIO(data), dtype="int16")[0].tobytes())


def test_music_is_heard_as_it_is_made_and_is_the_file(studio: Stack) -> None:
    with Client(studio.url, timeout=60) as client:
        job = client.audio(unconditioned=True, seconds=8, seed=3)
        heard = [b"".join(job.stream()), b"".join(job.stream())]
        (output, *_) = job.wait().outputs
        assert (output.role, output.data["seconds"], output.data["rate"]) == ("audio", 8.0, 8000)
        assert heard[0] == heard[1]
        assert heard[0][HEAD:] == samples(output.read())
        again = client.audio(unconditioned=True, seconds=8, seed=3).wait()
        assert again.outputs[0].sha256 == output.sha256


def test_listeners_that_hang_up_leave_the_job_as_it_is(studio: Stack) -> None:
    with Client(studio.url, timeout=60) as client:
        job = client.audio(unconditioned=True, seconds=10, seed=4, n=4)

        def listen() -> None:
            with httpx.stream("GET", f"{studio.url}{job.path}/audio", timeout=60) as answer:
                next(answer.iter_bytes())

        leaving = [threading.Thread(target=listen) for _ in range(5)]
        for listener in leaving:
            listener.start()
        for listener in leaving:
            listener.join()
        assert job.wait(100).status == "completed"
        last = b"".join(job.stream(index=3))
        sounds = [output for output in job.outputs if output.role == "audio"]
        assert last[HEAD:] == samples(sounds[3].read())


def test_a_listener_outlives_the_worker(mortal: Stack) -> None:
    """Killed on the way; the next worker makes the same chunks, and the stream goes on."""
    with Client(mortal.url, timeout=60) as client:
        client.audio(seconds=0.1).wait()  # the kernel is compiled
        job = client.audio(unconditioned=True, seconds=8, seed=6, n=8)
        stream = job.stream(index=7)
        heard = next(stream)
        os.kill(worker_of(mortal), signal.SIGKILL)
        heard += b"".join(stream)
        job.wait(100)
        assert (job.status, job.data["attempt"]) == ("completed", 2)
        (output,) = [x for x in job.outputs if x.index == 7 and x.role == "audio"]
        assert heard[HEAD:] == samples(output.read())


def worker_of(stack: Stack) -> int:
    """The process id of its worker."""
    listed = subprocess.run(
        ["ps", "-eww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    parent = str(stack.process.pid)
    (worker,) = [int(pid) for pid, ppid, args in rows if ppid == parent and "workers.main" in args]
    return worker


def test_a_stream_of_a_canceled_job_ends_early(studio: Stack) -> None:
    with Client(studio.url, timeout=60) as client:
        job = client.audio(unconditioned=True, seconds=60, n=32)
        with httpx.stream("GET", f"{studio.url}{job.path}/audio?index=31", timeout=60) as answer:
            job.cancel()
            assert len(answer.read()) < HEAD + 60 * 8000 * 2
        assert job.refresh().status == "canceled"


@pytest.mark.parametrize("ending", ["wav", "flac", "mp3", "ogg"])
def test_a_file_is_made_again_from_what_it_says(studio: Stack, tmp_path: Path, ending: str) -> None:
    path, tune = tmp_path / f"song.{ending}", tmp_path / "tune.mid"
    tune.write_bytes(write_midi(TUNE))
    said = atelier(
        *("generate", "audio", "--score", tune, "--seed", "2", "-o", path),
        ATELIER_URL=studio.url,
    )
    assert said.status == 0, said
    assert "the style is" in said.err
    with soundfile.SoundFile(path) as sound:
        assert sound.samplerate == 8000
    again = atelier("regenerate", path, ATELIER_URL=studio.url)
    assert (again.status, again.out) == (0, "the same bytes\n"), again


def test_what_was_composed_is_made_again_too(studio: Stack, tmp_path: Path) -> None:
    (tmp_path / "song.mid").write_bytes(write_midi(TUNE))
    asked = ("--style", "folk", "--tempo", "90", "--key", "A minor", "--seconds", "2")
    said = atelier(
        *("generate", "audio", *asked, "--seed", "2", "-o", tmp_path / "song.wav"),
        ATELIER_URL=studio.url,
    )
    score = tmp_path / "song-2.mid"  # what was there is kept
    assert said.out.splitlines() == [str(tmp_path / "song.wav"), str(score)], said
    assert read_midi(score.read_bytes()).tempo == pytest.approx(90, abs=0.1)
    again = atelier("regenerate", score, ATELIER_URL=studio.url)
    assert (again.status, again.out) == (0, "the same bytes\n"), again


def test_words_are_taken_for_style_tempo_and_key(studio: Stack) -> None:
    body = {"input": "slow folk in A minor", "audio_length": 1}
    answer = httpx.post(f"{studio.url}/v1/audio/generate", json=body, timeout=60)
    assert answer.headers["x-understood"] == "style folk, tempo 76.0, key A minor"
    assert answer.content.startswith(b"RIFF")


def written(*messages: mido.Message) -> bytes:
    file = mido.MidiFile()
    file.tracks.append(mido.MidiTrack(messages))
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


CROWD = [mido.Message("note_on", note=60 + i % 12, channel=i // 12) for i in range(16 * 12)]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (written(), "the MIDI file has no notes"),
        (write_midi(TUNE)[:50], "the MIDI file is broken"),
        (written(*CROWD), "more than 128 notes sound at once"),
        (b"RIFF\0\0\0\0WAVE and no sound", "score must be a MIDI file, not audio/wav"),
    ],
)
def test_what_can_not_be_played_is_told_at_once(studio: Stack, data: bytes, message: str) -> None:
    with Client(studio.url) as client:
        score = client.upload(data)["sha256"]
        with pytest.raises(BadRequestError, match=message) as refusal:
            client.audio(score=score)
        assert refusal.value.param == "score"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--style", "polka"], "style must be one of 'jazz', 'folk'"),
        (["--seconds", "0"], "seconds must be more than 0"),
        (["--seconds", "10000"], "seconds must be at most 60"),
    ],
)
def test_what_can_not_be_made_is_one_line(studio: Stack, options: list[str], message: str) -> None:
    assert message in refused(atelier("generate", "audio", *options, ATELIER_URL=studio.url))
