from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from training.loop.progress import Speed, lines, sheet, showing, write_plot

BLUE = (0x1F, 0x77, 0xB4)  # of the first curve


def test_a_sheet_sets_pictures_side_by_side() -> None:
    page = np.asarray(sheet(torch.tensor([0.0, 0.5, 2.0]).view(3, 1, 1, 1), columns=2))
    assert page.shape == (6, 6, 3)
    assert page[1, 1].tolist() == [0, 0, 0]
    assert page[1, 4].tolist() == [128, 128, 128]
    assert page[4, 1].tolist() == [255, 255, 255]


def test_a_plot_shows_a_falling_loss(tmp_path: Path) -> None:
    write_plot([(i, {"loss": 10.0 - i, "other": 5.0}) for i in range(10)], tmp_path / "loss.png")
    with Image.open(tmp_path / "loss.png") as picture:
        assert picture.size == (800, 400)
        page = np.asarray(picture.convert("RGB"))
    y, x = np.nonzero((page == BLUE).all(2))
    assert y[x < 200].mean() < y[(x > 300) & (x < 500)].mean()  # y grows downwards


@pytest.mark.parametrize("values", [[1e-3, 1e3], [-1e3, 1e3], [0.0, 1.0], [2.0]])
def test_a_plot_is_drawn_whatever_the_values(tmp_path: Path, values: list[float]) -> None:
    write_plot([(i, {"loss": v}) for i, v in enumerate(values)], tmp_path / "loss.png")
    with Image.open(tmp_path / "loss.png") as picture:
        assert np.asarray(picture).std() > 1


def test_a_plot_of_nothing_is_drawn_all_the_same(tmp_path: Path) -> None:
    write_plot([], tmp_path / "loss.png")
    assert (tmp_path / "loss.png").exists()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that it is said to be, for a test to change."""
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_without_a_terminal_there_is_a_line_now_and_then(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    show = lines("x", 100, Speed(0, batch=8))
    for step in range(1, 101):
        clock[0] += 1
        show(step, 0.5)
    said = capsys.readouterr()
    assert said.out == ""
    output = said.err.splitlines()
    assert output[0] == "x: step 1 of 100, loss 0.5, 8 images/s, 0:01:39 to go"
    assert [line.split()[2] for line in output] == ["1", "31", "61", "91", "100"]
    assert output[-1] == "x: step 100 of 100, loss 0.5, 8 images/s, 0:00:00 to go"


def test_speed_is_that_of_late(clock: list[float]) -> None:
    speed = Speed(1000, batch=4)  # of a run that goes on
    clock[0] += 10
    assert speed.at(1010) == 4
    for step in range(1011, 1021):
        clock[0] += 2
        now = speed.at(step)
    assert now == 2


def test_in_a_terminal_there_is_a_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with showing("x", 0, 5, 8) as show:
        for step in range(1, 6):
            show(step, 0.25)
    said = capsys.readouterr()
    assert said.out == ""
    for text in ("5/5", "loss 0.25", "images/s"):
        assert text in said.err
