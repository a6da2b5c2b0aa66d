"""The corpus as classes and rolls: what is kept, and how it is cut."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.audio import mulaw
from models.music.piano_roll import Rolled
from models.score import Note, Score
from tests.training.music import hummed
from training.data.cache import DataMissing
from training.data.music.audio_columns import Windows, heard_of, keep, load_heard, render_audio
from training.data.music.build import EDITION, STYLES, Works, build
from training.data.music.corpus import open_corpus

NAMES = [f"piece-{i}" for i in range(5)]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With every style's file in it, and nothing to make one of."""
    works = {style: Works(NAMES, hummed, "by a test") for style in STYLES}
    corpus = open_corpus(build(tmp_path / "corpus", works, 0.4))
    monkeypatch.setenv("ATELIER_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    for style in STYLES:
        keep(tmp_path / "heard" / f"{style}-{EDITION}-1.npz", render_audio(corpus, style))
    return tmp_path


def test_pieces_are_kept_as_classes_with_their_notes(cache: Path) -> None:
    corpus = open_corpus(cache / "corpus")
    for (sound, score, test), one in zip(
        heard_of("jazz", 1), corpus.recordings("jazz"), strict=True
    ):
        assert (score.notes, test) == (one.notes, one.label.test)
        loud = torch.from_numpy(one.sound) * corpus.gain
        assert torch.equal(torch.from_numpy(sound).long(), mulaw.encode(loud))


def test_rows_are_windows_of_all_styles_and_what_is_held_out_is_apart(cache: Path) -> None:
    data = load_heard(1, Windows(40, 800, Rolled(60, 67)))
    sound, roll, style = data.train
    assert data.labels == tuple(STYLES)
    assert sound.shape == (len(style), 32_000)
    assert roll.shape == (len(style), 40, 16 + 7)
    assert style.bincount().tolist() == [9] * 4  # three of each of three pieces of six seconds
    assert data.test[2].bincount().tolist() == [3] * 4
    assert roll.max() == 255 * 90 // 127 + 1
    with pytest.raises(DataMissing, match="fluidsynth"):
        load_heard(2, Windows(40, 800, Rolled(60, 67)))


def cut(samples: int) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    sound = np.arange(samples, dtype=np.uint8)
    score = Score((Note(0.0, 2.0, 60, 127), Note(2.0, 5.0, 62, 127)))
    return list(Windows(4, 16, Rolled(60, 62)).of(sound, score))


def test_the_last_window_ends_with_the_piece() -> None:
    assert cut(3 * 16) == []
    for frames, firsts in ((4, [0]), (8, [0, 4]), (10, [0, 4, 6])):
        rows = cut(frames * 16 + 5)
        assert [int(sound[0]) for sound, _ in rows] == [first * 16 for first in firsts]
        assert all(len(sound) == 64 and roll.shape == (4, 13) for sound, roll in rows)
        assert (rows[0][1][:, 0] == 255).all()  # a thousand frames a second, two of them long


def test_a_damaged_file_is_told(cache: Path) -> None:
    path = cache / "heard" / f"folk-{EDITION}-1.npz"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataMissing, match=f"folk-{EDITION}-1.npz is damaged, delete it"):
        heard_of("folk", 1)
