"""`atelier generate audio` and `listen`, over a real API and a worker with no model."""

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from atelier.cli.file_facts import facts_of
from models.artifacts import Audio
from models.music.midi import write_midi
from models.score import Score
from tests.app.conftest import worker  # noqa: F401 (a fixture)
from tests.app.operations.test_audio_stream import HEAD, PARTS, hall, play, stage  # noqa: F401 (fixtures)
from tests.app.serving import Running, eventually
from tests.app.test_scores import TUNE
from tests.app.working import Worker
from tests.atelier.commands import Said, atelier, environment_with, refused
from tests.workers.encoders.test_audio import FACTS, TOLD, tone
from workers.encoders.encode import encode
from workers.encoders.types import Encoded

Ask = Callable[..., Said]


@pytest.fixture
def ask(hall: Running) -> Ask:  # noqa: F811
    return lambda *arguments: atelier(*arguments, ATELIER_URL=hall.url)


@pytest.fixture
def working(hall: Running, worker: Worker) -> Callable[..., Any]:  # noqa: F811
    return lambda artifact, kind: carried_out(hall, worker, artifact, kind)


@contextmanager
def carried_out(
    running: Running,
    worker: Worker,  # noqa: F811
    artifact: Audio | Score,
    kind: str,
) -> Iterator[Encoded]:
    """Within, one job is carried out as soon as it comes, as a file of this."""
    (file,) = encode(artifact, kind, FACTS)
    sha256 = running.services.store.backend.put(file.data)

    def work() -> None:
        jobs: list[str] = []
        eventually(lambda: jobs.extend(worker.claim()) or jobs, 20)
        output = {
            "role": file.role,
            "sha256": sha256,
            "content_type": file.content_type,
            "bytes": len(file.data),
        }
        worker.finish(jobs[0], output=output)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield file
    finally:
        thread.join()


@pytest.mark.parametrize("ending", ["wav", "flac", "mp3", "ogg"])
def test_the_name_of_the_file_says_the_format(
    working: Callable[..., Any], ask: Ask, tmp_path: Path, ending: str
) -> None:
    path = tmp_path / "new" / f"song.{ending}"
    with working(tone(), ending) as file:
        said = ask("generate", "audio", "--style", "jazz", "--seconds", "0.5", "-o", path)
    assert (said.status, said.out) == (0, f"{path}\n"), said.err
    assert path.read_bytes() == file.data
    assert json.loads(atelier("inspect", path).out) == TOLD
    (job,) = json.loads(ask("jobs", "--json").out)
    asked = {"style": "jazz", "seconds": 0.5, "output_format": ending}
    assert job["input"].items() >= asked.items()


@pytest.mark.parametrize(
    ("artifact", "kind", "name"),
    [(tone(), "mp3", "tiny-wavenet-1.mp3"), (TUNE, "wav", "tiny-wavenet-1.mid")],
)
def test_files_are_named_by_model_and_seed(
    working: Callable[..., Any],
    ask: Ask,
    tmp_path: Path,
    artifact: Any,
    kind: str,
    name: str,
) -> None:
    with working(artifact, kind):
        said = ask("generate", "audio", "--output-format", kind, "--out", tmp_path)
    assert (said.status, said.out) == (0, f"{tmp_path / name}\n"), said.err
    assert facts_of(tmp_path / name) == TOLD


def test_a_score_is_posted_and_named(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "tune.mid").write_bytes(write_midi(TUNE))
    job = ask("generate", "audio", "--score", tmp_path / "tune.mid", "-n", "2", "--detach").out
    asked = json.loads(ask("job", job.strip()).out)["input"]
    assert asked["score"] == hashlib.sha256(write_midi(TUNE)).hexdigest()
    assert asked["n"] == 2


def test_a_job_is_heard_into_a_file_or_a_pipe(
    hall: Running,  # noqa: F811
    worker: Worker,  # noqa: F811
    ask: Ask,
    tmp_path: Path,
) -> None:
    job = ask("generate", "audio", "--detach").out.strip()
    worker.claim()
    play(hall, worker, job, 0, 1, last=True)
    worker.finish(job)
    said = ask("listen", job, "-o", tmp_path / "song.wav")
    assert (said.status, said.out) == (0, f"{tmp_path / 'song.wav'}\n")
    assert (tmp_path / "song.wav").read_bytes()[len(HEAD) :] == PARTS[0] + PARTS[1]
    piped = subprocess.run(
        [sys.executable, "-m", "atelier", "listen", job],
        env=environment_with({"ATELIER_URL": hall.url}),
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert piped.stdout == HEAD + PARTS[0] + PARTS[1]


@pytest.mark.parametrize(
    ("options", "message", "status"),
    [
        (["-o", "song.aiff"], "-o must end in .wav, .flac, .mp3, .ogg, .mid, not .aiff", 2),
        (["-o", "song"], "-o must end in", 2),
        (["-o", "song.wav", "-n", "2"], "more go to a folder, --out", 2),
        (["-o", "song.wav", "--output-format", "ogg"], "song.wav is not to be ogg", 2),
        (["--param", "style=jazz", "--style", "folk"], "option of its own: --style", 2),
        (["--style", "polka"], "style must be one of 'jazz', 'folk'", 1),
        (["--seconds", "0"], "seconds must be more than 0", 1),
        (["--seconds", "10000"], "seconds must be at most 60", 1),
    ],
)
def test_what_can_not_be_is_one_line(
    ask: Ask, options: list[str], message: str, status: int
) -> None:
    assert message in refused(ask("generate", "audio", *options), status)


@pytest.mark.parametrize("data", [b"OggS and no facts", b'fLaC {"checkpoint": "cut'])
def test_a_sound_that_does_not_say_what_made_it(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "song.ogg").write_bytes(data)
    assert "does not say what made it" in refused(atelier("inspect", tmp_path / "song.ogg"))
