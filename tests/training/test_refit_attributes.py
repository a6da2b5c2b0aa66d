"""Attributes can be fitted anew to a checkpoint, which otherwise stays as it is."""

from pathlib import Path

import pytest
import torch

from models.checkpoint.header import CheckpointError
from models.checkpoint.weights import load, save
from models.engine.batching import Placement
from models.engine.noise import seeded
from models.image.vae import VAE
from tests.models.families import tiny_checkpoint
from training import refit_attributes as module
from training.data.images.fashion import LABELS, fashion_tags
from training.recipe import Data
from training.refit_attributes import refit_attributes


def test_only_the_directions_change(tmp_path: Path) -> None:
    checkpoint = load(tiny_checkpoint(tmp_path, "vae"))
    size = int(str(checkpoint.header.net["size"]))
    pictures = torch.randint(0, 256, (60, 1, size, size), generator=seeded(1), dtype=torch.uint8)
    columns = (pictures, torch.arange(60) % 3)
    tags = {"light": pictures.float().mean((1, 2, 3)) > 127}
    trained = refit_attributes(checkpoint, Data(columns, columns), lambda _: tags)
    card, tensors = trained.card, trained.weights
    assert (card.attributes, card.net["attributes"]) == (["light"], 1)
    others = checkpoint.tensors.keys() - {"directions"}
    assert tensors.keys() == {*others, "directions"}
    assert all(torch.equal(tensors[name], checkpoint.tensors[name]) for name in others)
    path = tmp_path / "again.safetensors"
    save(path, card, tensors)
    assert VAE(load(path), Placement(torch.device("cpu"))).directions.names == ("light",)


def test_a_recipe_without_attributes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tiny_checkpoint(tmp_path, "vae")
    monkeypatch.setattr("sys.argv", ["refit", str(path), "--out", str(tmp_path / "out")])
    with pytest.raises(CheckpointError, match="no attributes are known"):
        module.main()


def test_garments_are_compared_with_those_of_their_kind() -> None:
    """A bright bag among bright bags is not bright; other data have no tags."""
    pictures = torch.zeros(8, 1, 28, 28, dtype=torch.uint8)
    pictures[:, :, 8:20, 8:20] = torch.tensor([10, 20, 30, 40, 210, 220, 230, 240]).view(8, 1, 1, 1)
    columns = (pictures, torch.tensor([0] * 4 + [1] * 4))
    tags = fashion_tags(Data(columns, columns, LABELS))
    assert tags["bright"].tolist() == [False, False, True, True] * 2
    assert fashion_tags(Data(columns, columns, ("a", "b"))) == {}
