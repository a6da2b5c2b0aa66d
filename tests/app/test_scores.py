"""Requests that name a score: a MIDI file is tried when it is named, and told what is wrong."""

import io
import subprocess
import sys

import httpx
import mido
import pytest
import redis

from models.music.midi import write_midi
from models.score import DRUMS, Note, Score
from tests.app.operations.test_input_checks import PNG, references
from tests.app.test_artifacts import store
from tests.app.test_generate import error_of
from tests.app.test_generate_audio import URL, music, server_of_music  # noqa: F401 (fixtures)

TUNE = Score((Note(0.0, 0.5, 60), Note(0.5, 1.25, 62), Note(0.0, 0.25, 38, program=DRUMS)))


def written(*messages: mido.Message) -> bytes:
    file = mido.MidiFile()
    file.tracks.append(mido.MidiTrack(messages))
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


def test_a_score_is_known_by_its_bytes_named_and_held(
    music: httpx.Client,  # noqa: F811
    connection: "redis.Redis",
) -> None:
    kind = {"Content-Type": "application/octet-stream"}
    stored = music.post("/artifacts", content=write_midi(TUNE), headers=kind).json()
    assert stored["content_type"] == "audio/midi"
    answer = music.post(URL, json={"score": stored["sha256"]})
    assert answer.status_code == 202, answer.text
    assert answer.json()["input"]["score"] == stored["sha256"]
    assert references(connection, stored["sha256"]) == 2


def struck(count: int) -> list[mido.Message]:
    """So many keys of the pitches that the model plays, none of them twice."""
    keys = [(pitch, channel) for pitch in range(60, 72) for channel in range(16)]
    return [mido.Message("note_on", note=pitch, channel=c, time=0) for pitch, c in keys[:count]]


UNFIT = [
    (written(), "score can't be used: the MIDI file has no notes"),
    (write_midi(TUNE)[:40], "score can't be used: the MIDI file is broken"),
    (b"MThd and no more", "score can't be used: the MIDI file is broken"),
    (
        b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x01\xe0MTrk\x00\x07\xd0\x00" + b"\xff" * 512_000,
        "score can't be used: the MIDI file is broken: track 1 has a number of more than 4 bytes",
    ),
    (written(*struck(129)), "score can't be used: more than 128 notes sound at once"),
    (
        write_midi(Score((Note(0, 1, 59),))),
        "score can't be used: a note has the pitch 59; 60 to 71 can be played",
    ),
    (b"RIFF\x00\x00\x00\x00WAVE, it says", "score must be a MIDI file, not audio/wav"),
    (PNG, "score must be a MIDI file, not image/png"),
]


@pytest.mark.parametrize(("data", "message"), UNFIT, ids=range(len(UNFIT)))
def test_what_is_no_fit_score_is_refused_at_once(
    music: httpx.Client,  # noqa: F811
    data: bytes,
    message: str,
) -> None:
    answer = music.post(URL, json={"score": store(music, data)})
    error = error_of(answer)
    assert (answer.status_code, error["code"], error["param"]) == (
        422,
        "invalid_parameter",
        "score",
    )
    assert error["message"].startswith(message)


def test_a_sound_file_that_is_none_is_not_stored(music: httpx.Client) -> None:  # noqa: F811
    answer = music.post("/artifacts", content=b"no sound", headers={"Content-Type": "audio/wav"})
    assert (answer.status_code, error_of(answer)["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(("score", "status"), [("ab" * 32, 404), ("tune.mid", 422), (7, 422)])
def test_what_names_no_file_is_told(
    music: httpx.Client,  # noqa: F811
    score: object,
    status: int,
) -> None:
    answer = music.post(URL, json={"score": score})
    assert (answer.status_code, error_of(answer)["param"]) == (status, "score")


def test_a_score_goes_with_a_style_but_not_with_none(music: httpx.Client) -> None:  # noqa: F811
    sha256 = store(music, write_midi(TUNE))
    assert music.post(URL, json={"score": sha256, "style": "jazz"}).status_code == 202
    answer = music.post(URL, json={"score": sha256, "unconditioned": True})
    assert error_of(answer)["message"] == "unconditioned and score don't go together"


@pytest.mark.slow
def test_the_api_reads_scores_without_torch_or_numpy() -> None:
    code = (
        "import sys, app.main; from models.music.midi import read_midi, write_midi\n"
        "from models.score import Note, Score\n"
        "assert read_midi(write_midi(Score((Note(0, 1, 60),)))).seconds == 1\n"
        "raise SystemExit(bool({'torch', 'numpy', 'soundfile'} & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
