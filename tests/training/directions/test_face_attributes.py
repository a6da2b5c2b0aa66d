"""The attributes of faces, in small: what is fitted, what is measured, and of which pictures."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.checkpoint.header import COMPONENTS, SUFFIX, Header
from models.checkpoint.weights import load
from models.engine.noise import seeded
from models.image.directions import DIRECTIONS
from models.nets.gan import generator_of
from tests.models.families import tiny_parts
from training.data.images.emoji import FACE_KINDS
from training.directions import face_attributes as module
from training.directions.face_attributes import (
    fit_face_attributes,
    measure_face_attributes,
    redness,
)
from training.directions.linear_walk import View, WalkSettings
from training.recipe import Data

FEW = WalkSettings(steps=1, batch=2, draws=12, tried=2)
CARD = Header(family="gan", net={"kind": "dcgan", "latent": 6, "width": 2, "size": 32})


def faces(side: int) -> Data:
    pictures = torch.randint(0, 256, (9, 3, side, side), generator=seeded(0), dtype=torch.uint8)
    columns = (pictures, torch.arange(9) % 3, torch.arange(9) % 3 - 1)
    return Data(columns, columns, FACE_KINDS)


def weights() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return generator_of("dcgan", latent=6, width=2, size=32).state_dict()


def flat(*colour: float, ink: float = 1.0) -> View:
    """A square of one colour in the corner of a white picture."""
    picture = torch.ones(1, 3, 64, 64)
    side = round(64 * ink**0.5)
    picture[:, :, :side, :side] = torch.tensor(colour)[:, None, None]
    return View(picture, torch.zeros(1, 4))


def test_redness_is_that_of_what_is_drawn_on_white() -> None:
    for ink in (1.0, 0.25):
        view = flat(0.8, 0.4, 0.2, ink=ink)
        assert float(redness(view)) == pytest.approx(0.5, abs=0.02)


def test_attributes_are_fitted_and_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a tiny CLIP in the place of the shipped ones."""
    monkeypatch.setattr(module, "SIDE", 32)
    tiny_parts(tmp_path)
    clip = load(tmp_path / COMPONENTS / f"tiny-clip{SUFFIX}")
    monkeypatch.setattr(module, "load_component", lambda _: clip)
    monkeypatch.setattr(module, "load", lambda _: clip)
    trained = fit_face_attributes(CARD, weights(), faces(32), FEW)
    assert trained.card.attributes == ["happy", "red"]
    directions = trained.weights.pop(DIRECTIONS)
    assert directions.shape == (2, 6)
    assert all(0.09 < length <= 1.001 for length in directions.norm(dim=1).tolist())
    assert trained.weights.keys() == weights().keys()
    monkeypatch.setattr(module, "JUDGED", 4)
    figures = measure_face_attributes(
        trained.card, {**trained.weights, DIRECTIONS: directions}, faces(32)
    )
    kinds = ("attribute moved at", "attribute kind kept at")
    assert set(figures) == {f"{kind} {way}" for kind in kinds for way in ("+2", "-2")}
    for by_name in figures.values():
        assert isinstance(by_name, dict)
        assert list(by_name) == trained.card.attributes
        assert all(0 <= float(str(share)) <= 1 for share in by_name.values())


def test_other_pictures_get_no_attributes() -> None:
    pictures = faces(64).train[0]
    for data in (Data((pictures,), (pictures,)), faces(32)):
        trained = fit_face_attributes(CARD, weights(), data, FEW)
        assert (trained.card, trained.weights.keys()) == (CARD, weights().keys())
        assert measure_face_attributes(trained.card, trained.weights, data) == {}
