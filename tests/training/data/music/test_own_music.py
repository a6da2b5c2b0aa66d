"""A folder of the user's own music: styles, formats, and everything that can be wrong with it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.training.music import tone, write_scale
from training.data.cache import DataMissing
from training.data.music import own_music
from training.data.music.corpus import open_corpus
from training.data.music.own_music import build_own, find_music, read_sound
from training.data.music.rendering import FONTS, RATE

soundfile = pytest.importorskip("soundfile", reason="reads sound files")
plays = pytest.mark.skipif(
    not (shutil.which("fluidsynth") and any(font.exists() for font in FONTS)),
    reason="needs fluidsynth and FluidR3, which play scores",
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_CACHE", str(tmp_path / "cache"))


def put(path: Path, seconds: float = 2, rate: int = 44_100, channels: int = 2) -> Path:
    """A stereo file with 440 Hz in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)
    soundfile.write(path, np.stack([wave] * channels, 1), rate)
    return path


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3"])
def test_every_format_becomes_mono_at_16_khz(tmp_path: Path, kind: str) -> None:
    sound = read_sound(put(tmp_path / f"a.{kind}"), f"a.{kind}")
    assert abs(len(sound) - 2 * RATE) <= RATE // 20  # MP3 has a block more or less
    middle = sound[RATE // 2 : RATE * 3 // 2]
    spectrum = np.abs(np.fft.rfft(middle))
    assert int(spectrum.argmax()) == 440
    assert middle.std() == pytest.approx(0.5 / np.sqrt(2), rel=0.03)


def test_folders_are_styles_and_one_file_at_least_is_held_out(tmp_path: Path) -> None:
    for name in ("ska/1.wav", "ska/deep/2.flac", "dub/1.ogg", "dub/2.wav", ".hidden/x.wav"):
        put(tmp_path / "songs" / name)
    folder = build_own(tmp_path / "songs", 60)
    corpus = open_corpus(folder)
    assert corpus.styles == ("dub", "ska")
    assert folder.parent == tmp_path / "cache"
    for style in corpus.styles:
        test = [one.label.test for one in corpus.recordings(style)]
        assert sorted(test) == [False, True]
    assert build_own(tmp_path / "songs", 60) == folder
    put(tmp_path / "songs/dub/3.wav")
    assert build_own(tmp_path / "songs", 60) != folder


def test_files_beyond_the_minutes_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in "abc":
        put(tmp_path / f"dub/{name}.wav", 4)
    build_own(tmp_path / "dub", 0.1)
    assert "of dub 1 files are beyond 0.1 minutes, and not used" in caplog.text


def test_files_of_the_folder_itself_are_of_its_style(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a.wav", "b.wav", "cover.png"):
        put(tmp_path / "mine" / name) if name.endswith("wav") else (
            tmp_path / "mine" / name
        ).touch()
    assert find_music(tmp_path / "mine") == {"mine": ["a.wav", "b.wav"]}
    assert "passed over, being no music by their names: cover.png" in caplog.text


@plays
def test_midi_is_played_with_its_notes_beside_it(tmp_path: Path) -> None:
    for name in ("a.mid", "b.MIDI"):
        write_scale(tmp_path / "scales" / name)
    corpus = open_corpus(build_own(tmp_path / "scales", 60))
    one = next(iter(corpus.recordings("scales")))
    assert [note.pitch for note in one.score.notes] == list(range(60, 68))
    assert (one.score.tempo, one.score.key) == (150, "C major")
    assert np.abs(one.sound).max() > 0.01


def silent(path: Path) -> None:
    soundfile.write(path, np.zeros(RATE * 2), RATE)


def not_finite(path: Path) -> None:
    soundfile.write(path, np.full(RATE * 2, np.nan, "f4"), RATE, subtype="FLOAT")


def too_loud(path: Path) -> None:
    soundfile.write(path, tone(2, level=40), RATE, subtype="FLOAT")


BAD: dict[str, tuple[str, Callable[[Path], object]]] = {
    "no sound file that can be read": ("a.wav", lambda p: p.write_bytes(b"a letter" * 99)),
    "a.mp3 is no sound file": ("a.mp3", lambda p: p.write_text("what?")),
    "a.flac is empty": ("a.flac", lambda p: p.touch()),
    r"lasts 0\.50 seconds; 1 is the least": ("a.wav", lambda p: put(p, 0.5)),
    r"lasts 0\.00 seconds": ("a.wav", lambda p: put(p, 0)),
    "a.wav is silent from beginning to end": ("a.wav", silent),
    "a.wav has samples that are no numbers": ("a.wav", not_finite),
    r"a.wav is too loud: its samples go up to 40\.\d": ("a.wav", too_loud),
}


@pytest.mark.parametrize("what", BAD)
def test_a_file_that_can_not_be_used_is_named(tmp_path: Path, what: str) -> None:
    name, make = BAD[what]
    put(tmp_path / "songs/other.wav")
    make(tmp_path / "songs" / name)
    with pytest.raises(DataMissing, match=what):
        build_own(tmp_path / "songs", 60)


@plays
def test_a_broken_midi_file_is_named(tmp_path: Path) -> None:
    write_scale(tmp_path / "songs/a.mid")
    (tmp_path / "songs/b.mid").write_bytes(write_scale(tmp_path / "c.mid").read_bytes()[:60])
    with pytest.raises(DataMissing, match=r"b\.mid: the MIDI file is broken"):
        build_own(tmp_path / "songs", 60)


def test_a_folder_without_enough_music_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="is not there: no folder"):
        build_own(tmp_path / "none", 60)
    (tmp_path / "songs").mkdir()
    with pytest.raises(DataMissing, match=r"holds no music \(\.flac, \.mid"):
        build_own(tmp_path / "songs", 60)
    put(tmp_path / "songs/ska/1.wav")
    with pytest.raises(DataMissing, match=r"the style ska has one file, ska/1\.wav; at least 2"):
        build_own(tmp_path / "songs", 60)


def test_scores_need_a_synthesiser_and_sounds_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    put(tmp_path / "songs/a.wav")
    put(tmp_path / "songs/b.wav")
    assert build_own(tmp_path / "songs", 60).is_dir()
    write_scale(tmp_path / "songs/c.mid")
    with pytest.raises(DataMissing, match="fluidsynth is not installed"):
        build_own(tmp_path / "songs", 60)


def test_a_file_of_hours_is_not_read_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_music, "LONGEST", 1.5)
    with pytest.raises(DataMissing, match=r"long\.wav lasts 2 seconds; at most 1\.5"):
        read_sound(put(tmp_path / "long.wav"), "long.wav")
