from itertools import pairwise
from pathlib import Path

import pytest
import torch

from training.errors import TrainingRefused
from training.loop.run_folder import KEPT, RunFolder, surplus, write_whole


def test_what_is_kept_is_spread_over_the_whole_run() -> None:
    kept: list[int] = []
    for step in range(100, 20_100, 100):
        kept.append(step)
        for gone in surplus(kept, KEPT):
            kept.remove(gone)
    assert len(kept) == KEPT
    assert (kept[0], kept[-1]) == (100, 20_000)
    gaps = [b - a for a, b in pairwise(kept)]
    assert max(gaps) <= 3000


def test_few_are_all_kept() -> None:
    assert surplus([], 3) == surplus([1], 3) == surplus([1, 5, 9], 3) == []
    assert surplus([1, 2, 9, 20], 3) == [2]


def test_old_snapshots_go_and_the_newest_stays(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for step in range(1, KEPT + 6):
        run.step = step
        run.snapshot({"w": torch.tensor(step)})
    assert len(run.snapshots()) == KEPT
    assert run.snapshots()[0] == 1
    newest = run.snapshot_at(KEPT + 5)
    assert newest is not None
    assert newest["w"] == KEPT + 5


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    def fails(path: Path) -> None:
        path.write_text("half")
        raise OSError("disk full")

    (tmp_path / "state.pt").write_text("old")
    with pytest.raises(OSError, match="disk full"):
        write_whole(tmp_path / "state.pt", fails)
    assert (tmp_path / "state.pt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["state.pt"]


def test_what_a_killed_writer_left_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / "state.pt").write_text("old")
    (tmp_path / "state.pt.1a2b.part").write_text("half")
    with RunFolder(tmp_path).locked():
        assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "state.pt"]


def test_two_who_write_a_file_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    path = tmp_path / "features"

    def meanwhile(temporary: Path) -> None:
        temporary.write_text("first")
        write_whole(path, lambda own: own.write_text("second"))
        assert temporary.read_text() == "first"

    write_whole(path, meanwhile)
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_one_process_trains_in_a_folder(tmp_path: Path) -> None:
    with RunFolder(tmp_path).locked(), pytest.raises(TrainingRefused, match="another process"):
        RunFolder(tmp_path).locked().__enter__()
    with RunFolder(tmp_path).locked():
        pass


def test_a_run_remembers_what_it_made(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert not run.has_published("ab")
    assert run.started_with() is None
    run.note_published("ab")
    run.start_with({"batch": 3})
    run.note_published("cd")
    again = RunFolder(tmp_path)
    assert again.has_published("ab")
    assert again.has_published("cd")
    assert again.started_with() == {"batch": 3}
    assert not again.has_published("ef")
    again.note_publishing()  # and killed before it could say that it was done
    assert RunFolder(tmp_path).has_published("ef")
