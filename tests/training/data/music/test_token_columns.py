"""Pieces as tokens: kept by style, with what is held out."""

from pathlib import Path

import pytest

from models.score import DRUMS, Note, Score
from tests.training.music import SCALE
from training.data.cache import DataMissing
from training.data.images.emoji import held_out
from training.data.music import build, token_columns
from training.data.music.build import Style
from training.data.music.token_columns import composed, pieces_of, vocabulary
from training.data.music.tunes import Tune, UnreadableTune

NAMES = [f"piece-{i}" for i in range(30)]


def compose(name: str) -> Tune:
    if name == "piece-3":
        raise UnreadableTune("no notes")
    if name == "piece-4":
        return Tune(name, name, Score((Note(0, 1, 5, 80, DRUMS),)))
    return Tune(name, name, SCALE)


@pytest.fixture(autouse=True)
def _style(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    style = Style("jazz", "", "", lambda: NAMES, compose, 1.0)
    monkeypatch.setitem(build.STYLES, "jazz", style)
    monkeypatch.setenv("ATELIER_CACHE", str(tmp_path))


def test_pieces_are_kept_in_order_but_for_those_that_can_not_be_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    columns, again = pieces_of("jazz"), pieces_of("jazz")
    kept = [name for name in NAMES if name not in ("piece-3", "piece-4")]
    assert [test for _, test in columns] == [held_out(name) for name in kept]
    assert any(test for _, test in columns)
    for (tokens, _), (same, _) in zip(columns, again, strict=True):
        assert tokens.tolist() == same.tolist() == vocabulary().encode(SCALE, "jazz")
    assert [record.args[0] for record in caplog.records] == ["piece-3", "piece-4"]  # type: ignore[index]


def test_so_many_are_composed_at_most() -> None:
    assert len(composed("jazz", 3).test) == 3
    assert [len(composed("jazz", 5).starts), len(composed("jazz", 5).tokens)] == [
        4,
        3 * len(vocabulary().encode(SCALE, "jazz")),
    ]


def test_one_that_is_broken_off_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(style: str) -> None:
        raise KeyboardInterrupt(style)

    monkeypatch.setattr(token_columns, "composed", stop)
    with pytest.raises(KeyboardInterrupt):
        pieces_of("jazz")
    assert not list((tmp_path / "pieces").glob("*.npz"))


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    pieces_of("jazz")
    (path,) = (tmp_path / "pieces").iterdir()
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataMissing, match="damaged, delete it"):
        pieces_of("jazz")
