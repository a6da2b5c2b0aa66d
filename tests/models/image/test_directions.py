"""Attributes of a GAN: its latent is turned towards named directions."""

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from models.checkpoint.header import CheckpointError
from models.checkpoint.weights import Checkpoint, load
from models.engine.batching import Placement
from models.engine.flow import run_alone
from models.engine.noise import seeded
from models.image.directions import DIRECTIONS, Directions, at_length_of
from models.image.gan import GAN
from models.params.base import GANParams
from tests.models.families import tiny_checkpoint

CPU = Placement(torch.device("cpu"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return load(tiny_checkpoint(tmp_path_factory.mktemp("gan"), "gan"))


@pytest.fixture(scope="module")
def gan(checkpoint: Checkpoint) -> GAN:
    return GAN(checkpoint, CPU)


def pixels_of(gan: GAN, seed: int = 1, **params: Any) -> Tensor:
    request = GANParams.model_validate({"class_label": "bag", **params})
    (artifact,) = run_alone(gan.generate(request, seeded(seed)))
    return artifact.pixels


def test_an_attribute_turns_the_latent_towards_its_direction(
    gan: GAN, checkpoint: Checkpoint
) -> None:
    happy, red = checkpoint.tensors[DIRECTIONS]
    z = torch.randn(gan.latent, generator=seeded(2))
    moved = z + 1.5 * happy - 0.5 * red
    moved = moved / moved.norm() * z.norm()
    expected = (gan.net(moved[None], torch.tensor([2]))[0] + 1) / 2
    got = pixels_of(gan, 2, attributes={"red": -0.5, "happy": 1.5})
    assert torch.allclose(got, expected, atol=1e-5)


def test_no_amount_leaves_every_bit(gan: GAN, checkpoint: Checkpoint) -> None:
    plain = pixels_of(gan)
    assert torch.equal(pixels_of(gan, attributes={"happy": 0.0}), plain)
    header = checkpoint.header.model_copy(update={"attributes": []})
    nets = {k: t for k, t in checkpoint.tensors.items() if k != DIRECTIONS}
    bare = GAN(dataclasses.replace(checkpoint, header=header, tensors=nets), CPU)
    assert torch.equal(pixels_of(bare), plain)


def test_truncation_chooses_before_attributes_turn(gan: GAN) -> None:
    seeds = range(30)
    chosen = next(
        seed
        for seed in seeds
        if torch.equal(pixels_of(gan, seed, truncation=3.0), pixels_of(gan, seed))
    )
    asked = {"attributes": {"happy": 2.0}}
    assert torch.equal(
        pixels_of(gan, chosen, truncation=3.0, **asked), pixels_of(gan, chosen, **asked)
    )


def test_a_walk_keeps_its_attributes(gan: GAN) -> None:
    asked = {"attributes": {"red": 2.0}}
    walk = pixels_of(gan, 1, interpolate={"to_seed": 9, "frames": 3}, **asked)
    assert torch.equal(walk[0], pixels_of(gan, 1, **asked))
    assert torch.allclose(walk[-1], pixels_of(gan, 9, **asked), atol=1e-5)


def test_a_moved_latent_keeps_its_length() -> None:
    z, shift = torch.randn(2, 5, 8, generator=seeded(3))
    moved = at_length_of(z, z + shift)
    assert torch.allclose(moved.norm(dim=1), z.norm(dim=1))
    assert torch.allclose(torch.cosine_similarity(moved, z + shift), torch.ones(5))


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (None, "2 attributes, its net 0 directions"),
        (torch.zeros(3, 8), "2 attributes, its net 3 directions"),
        (torch.zeros(2, 7), r"shape \(2, 7\), its net wants \(2, 8\)"),
    ],
)
def test_directions_must_fit_the_card_and_the_net(
    checkpoint: Checkpoint, vectors: Tensor | None, message: str
) -> None:
    tensors = {k: t for k, t in checkpoint.tensors.items() if k != DIRECTIONS}
    tensors |= {} if vectors is None else {DIRECTIONS: vectors}
    with pytest.raises(CheckpointError, match=message):
        GAN(dataclasses.replace(checkpoint, tensors=tensors), CPU)


def test_half_precision_is_widened() -> None:
    directions = Directions.of(["a"], torch.ones(1, 4, dtype=torch.bfloat16), 4)
    assert directions.moved(torch.zeros(4), {"a": 0.1}).dtype == torch.float32
