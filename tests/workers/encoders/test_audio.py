"""Sound and scores as files: what was made, what made it, and the same bytes in any process."""

import hashlib
import io
import json
import subprocess
import sys
import wave
from typing import Any

import mido
import numpy as np
import pytest
import soundfile
import torch

from models.artifacts import Audio
from models.modalities import MP3_RATES, SOUND_FORMATS
from models.music.midi import read_midi
from models.score import DRUMS, Note, Score
from workers.encoders.audio import pcm_of
from workers.encoders.encode import encode
from workers.encoders.ogg import checksum, renumbered
from workers.encoders.types import Encoded, Facts

FACTS = Facts("m", "ab" * 32, {"style": "jazz", "score": None}, 7)
TOLD = json.loads(FACTS.text())
TUNE = Score((Note(0.0, 0.5, 60), Note(0.5, 1.25, 64, 90, 33), Note(0.0, 0.25, 38, 70, DRUMS)))


def tone(seconds: float = 0.5, rate: int = 16_000, channels: int = 1) -> Audio:
    moments = torch.arange(round(seconds * rate)) / rate
    wave = 0.5 * torch.sin(2 * torch.pi * 440 * moments)
    return Audio(torch.stack([wave, wave.flip(0)][:channels]), rate, ("the style is jazz",))


def only(artifact: Audio | Score, output_format: str = "wav") -> Encoded:
    (file,) = encode(artifact, output_format, FACTS)
    return file


def opened(file: Encoded) -> tuple[Any, dict[str, Any]]:
    """Samples (n, channels) as 16 bits, and the facts in the tags."""
    with soundfile.SoundFile(io.BytesIO(file.data)) as sound:
        assert (sound.samplerate, sound.channels) == (file.rate, file.channels)
        return sound.read(dtype="int16", always_2d=True), json.loads(sound.comment)


@pytest.mark.parametrize("output_format", SOUND_FORMATS)
@pytest.mark.parametrize("channels", [1, 2])
def test_sound_is_a_file_that_says_what_made_it(output_format: str, channels: int) -> None:
    audio = tone(channels=channels)
    file = only(audio, output_format)
    if (output_format, channels) != ("mp3", 2):  # LAME's joint stereo reads what it has not set
        assert file == only(audio, output_format)
    kind = {"mp3": "mpeg"}.get(output_format, output_format)
    assert (file.role, file.content_type) == ("audio", f"audio/{kind}")
    assert (file.seconds, file.rate, file.channels) == (0.5, 16_000, channels)
    assert file.notes == ("the style is jazz",)
    samples, facts_text = opened(file)
    assert facts_text == TOLD
    if output_format in ("wav", "flac"):
        np.testing.assert_array_equal(samples, pcm_of(audio.samples))
    else:
        assert abs(len(samples) - 8000) <= 1152 * 3  # whole frames of an encoder


@pytest.mark.parametrize("output_format", ["mp3", "ogg"])
def test_what_is_reduced_still_sounds_alike(output_format: str) -> None:
    audio = tone(2.0)
    samples, _ = opened(only(audio, output_format))
    heard, played = (
        np.abs(np.fft.rfft(x[4000:20_000, 0] / 32767)) for x in (samples, pcm_of(audio.samples))
    )
    assert heard.argmax() == played.argmax()
    assert heard.max() == pytest.approx(played.max(), rel=0.02)


@pytest.mark.parametrize("samples", [1, 2, 100])
@pytest.mark.parametrize("output_format", SOUND_FORMATS)
def test_the_shortest_sound_is_a_file_too(output_format: str, samples: int) -> None:
    assert opened(only(Audio(torch.zeros(1, samples), 16_000), output_format))[1] == TOLD


@pytest.mark.parametrize("rate", MP3_RATES)
def test_mp3_takes_the_rates_that_it_is_said_to(rate: int) -> None:
    assert opened(only(tone(rate=rate), "mp3"))[1] == TOLD


def test_full_scale_is_not_cut() -> None:
    pcm = pcm_of(torch.tensor([[-1.0, 1.0, 0.0, 0.5]]))
    assert pcm[:, 0].tolist() == [-32767, 32767, 0, 16384]


def test_a_wav_file_is_read_by_others() -> None:
    file = only(tone())
    with wave.open(io.BytesIO(file.data)) as sound:
        assert sound.getparams()[:4] == (1, 2, 16_000, 8000)


def test_a_score_is_midi_that_says_what_made_it() -> None:
    file = only(TUNE, "mp3")
    assert file == only(TUNE, "wav")
    assert (file.role, file.content_type, file.seconds) == ("score", "audio/midi", 1.25)
    assert read_midi(file.data) == TUNE
    texts = [m.text for m in mido.MidiFile(file=io.BytesIO(file.data)) if m.type == "text"]
    assert [json.loads(text) for text in texts] == [TOLD]


def test_more_instruments_than_channels_are_played_by_others() -> None:
    """A composer may come to more; its job must not fail for it."""
    many = [Note(i, i + 0.5, 60, program=8 * (i // 2) + i % 2) for i in range(17)]
    often = [Note(20 + i, 20.5 + i, 60, program=8 * (i // 2)) for i in range(17)]
    drum = Note(0, 0.5, 38, program=DRUMS)
    file = only(Score((*many, *often, drum)))
    read = read_midi(file.data)
    programs = [note.program for note in read.notes]
    assert len(programs) == 35
    assert len(set(programs) - {DRUMS}) == 15
    assert all(note.program // 8 == i // 2 for i, note in enumerate(read.notes[1:18]))
    assert file.notes == ("2 instruments have no room in a MIDI file; others play for them",)
    assert only(TUNE).notes == ()


@pytest.mark.slow
def test_another_process_makes_the_same_bytes() -> None:
    """Encoders number streams at random, or write the time or themselves into files."""
    code = (
        "import hashlib\n"
        "from tests.workers.encoders.test_audio import TUNE, only, tone\n"
        "from models.modalities import SOUND_FORMATS\n"
        "for made in [only(tone(), name) for name in SOUND_FORMATS] + [only(TUNE)]:\n"
        "    print(hashlib.sha256(made.data).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    files = [only(tone(), name) for name in SOUND_FORMATS] + [only(TUNE)]
    assert done.stdout.split() == [hashlib.sha256(file.data).hexdigest() for file in files]


def test_pages_of_ogg_are_numbered_anew_and_stay_whole() -> None:
    data = only(tone(3.0), "ogg").data
    other = renumbered(data, 12345)
    assert other != data
    assert renumbered(other) == data
    assert (other[14:18], other[:14]) == ((12345).to_bytes(4, "little"), data[:14])
    np.testing.assert_array_equal(
        soundfile.read(io.BytesIO(other))[0], soundfile.read(io.BytesIO(data))[0]
    )
    page = bytearray(data[: 28 + data[27]])
    said, page[22:26] = int.from_bytes(page[22:26], "little"), bytes(4)
    assert checksum(page) == said


def test_what_is_no_ogg_is_told() -> None:
    with pytest.raises(ValueError, match="no page"):
        renumbered(b"RIFF and more than that, but no page")
