from pathlib import Path

import numpy as np
import torch
from PIL import Image

from training.progress import sheet, write_plot


def test_a_sheet_sets_pictures_side_by_side() -> None:
    page = np.asarray(sheet(torch.tensor([0.0, 0.5, 2.0]).view(3, 1, 1, 1), columns=2))
    assert page.shape == (6, 6, 3)
    assert page[1, 1].tolist() == [0, 0, 0]
    assert page[1, 4].tolist() == [128, 128, 128]
    assert page[4, 1].tolist() == [255, 255, 255]


def test_a_plot_shows_a_falling_loss(tmp_path: Path) -> None:
    write_plot([(i, {"loss": 10.0 - i}) for i in range(10)], tmp_path / "loss.png")
    page = np.asarray(Image.open(tmp_path / "loss.png"))
    y, x = np.nonzero((page == (0, 0x72, 0xB2)).all(2) & (np.arange(400)[:, None] > 25))
    assert y[x < 100].mean() < y[x > 700].mean()


def test_a_plot_of_nothing_is_drawn_all_the_same(tmp_path: Path) -> None:
    write_plot([], tmp_path / "loss.png")
    assert (tmp_path / "loss.png").exists()
