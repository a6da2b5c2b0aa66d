from pathlib import Path

import torch

from models.checkpoint.header import Header
from models.checkpoint.weights import load
from tests.models.families import tiny_checkpoint
from training.evaluation.emoji_prompts import emoji_of
from training.evaluation.report import nearest_sheet
from training.evaluation.report.nearest_sheet import PROMPTS, painted_beside_nearest
from training.recipe import Data


def test_each_picture_stands_above_the_one_that_is_most_like_it(tmp_path: Path) -> None:
    checkpoint = load(tiny_checkpoint(tmp_path, "latent_diffusion"))
    known = torch.zeros(3, 3, 32, 32, dtype=torch.uint8)
    data = Data((known, torch.tensor([1, 0, 1])), (), ("red", "blue"))
    page = painted_beside_nearest(checkpoint, data)
    assert len(PROMPTS) == nearest_sheet.COLUMNS
    assert page.width == nearest_sheet.COLUMNS * 112


def test_only_a_painter_of_emoji_has_emoji() -> None:
    assert emoji_of(Header(family="latent_diffusion", net={})) is None
    assert emoji_of(Header(family="gan", net={}, recipe={"id": "dcgan-emoji"})) is None
