"""On a GPU: every family keeps the contract there too, and every learner learns."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from models.artifacts import values_of
from models.audio.wavenet_torch import Draws, Stacked, advance
from models.checkpoint.weights import load
from models.engine.batching import Placement
from models.engine.determinism import check_determinism
from models.engine.device import prepare
from models.engine.engine import Engine, Failed, Finished
from models.engine.flow import Family, Flow, run_alone
from models.engine.noise import seeded
from models.families import FAMILIES
from models.nets.wavenet import WaveNetModel
from models.params.base import Params
from tests.models.families import NETS, PARAMS, WAVENET, tiny_checkpoint
from tests.training.tiny import every_recipe
from training.loop.run_folder import RunFolder
from training.pipeline import carry_out
from training.recipe import Recipe

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
CUDA, CPU = torch.device("cuda"), torch.device("cpu")
EXACT = {"composer", "language", "wavenet"}
"""Families that draw: a last bit may turn a draw, and all that follows is another piece."""
LOOSE = {"latent_diffusion"}
"""Families whose card says that a GPU keeps not every bit of theirs, as was seen on an H200."""


@pytest.fixture(autouse=True)
def _prepared() -> None:
    prepare(CUDA)


def loaded(folder: Path, name: str, placement: Placement) -> Family[Params]:
    checkpoint = load(tiny_checkpoint(folder, name))
    return FAMILIES[name].load(checkpoint, placement)


def flow_of(name: str, family: Family[Params], seed: int) -> Flow:
    params = PARAMS[name][seed % len(PARAMS[name])]
    return family.generate(FAMILIES[name].params.model_validate(params), seeded(seed))


def alone(name: str, family: Family[Params], seed: int, device: torch.device) -> list[Tensor]:
    artifacts = run_alone(flow_of(name, family, seed), device)
    return [values_of(artifact).clone() for artifact in artifacts]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", list(NETS))
def test_batched_is_as_alone(name: str, dtype: torch.dtype, tmp_path: Path) -> None:
    family = loaded(tmp_path, name, Placement(CUDA, dtype))
    bitwise = check_determinism(family.batched, CUDA).determinism == "bitwise"
    assert bitwise or dtype != torch.float32 or name in LOOSE
    expected = {seed: alone(name, family, seed, CUDA) for seed in range(10)}
    chance, engine, todo, results = random.Random(3), Engine(CUDA), list(expected), {}
    while todo or len(engine):
        for _ in range(min(len(todo), chance.randrange(4))):
            seed = todo.pop()
            engine.add(seed, flow_of(name, family, seed))
        for event in engine.tick():
            assert not isinstance(event, Failed), event.error
            if isinstance(event, Finished):
                results[event.id] = [values_of(artifact) for artifact in event.artifacts]
    for seed, values in expected.items():
        same = all(torch.equal(a, b) for a, b in zip(values, results[seed], strict=True))
        assert same or not bitwise


@pytest.mark.parametrize("name", sorted(NETS.keys() - EXACT))
def test_it_is_what_the_cpu_makes(name: str, tmp_path: Path) -> None:
    """But for rounding; matrix products in TF32 would be further off."""
    here, there = (loaded(tmp_path, name, Placement(device)) for device in (CPU, CUDA))
    for seed in range(3):
        for ours, theirs in zip(
            alone(name, here, seed, CPU), alone(name, there, seed, CUDA), strict=True
        ):
            torch.testing.assert_close(theirs.cpu(), ours, rtol=0, atol=2e-3)


def test_wavenets_graph_is_its_plain_steps() -> None:
    from models.audio.wavenet_cuda_graph import Captured

    torch.manual_seed(0)
    config: dict[str, Any] = WAVENET
    weights = Stacked(WaveNetModel(**config).to(CUDA).eval().requires_grad_(False))
    condition = torch.randn(
        3, 2, config["blocks"] * config["layers"], 2 * config["gate"], device=CUDA
    )
    rings, length, last = (tensor.to(CUDA).expand(3, *tensor.shape) for tensor in weights.silence())
    ones, count = torch.ones(3, device=CUDA), 2 * config["hop"]
    captured = Captured(weights)
    with torch.inference_mode():
        for seed in range(2):  # recorded, then replayed with other draws
            torch.manual_seed(seed)
            draws = Draws(torch.rand(3, count, device=CUDA), ones, ones)
            ours = captured((rings, length, last), condition, draws)
            plain = advance(weights, (rings, length, last), condition, draws)
            assert all(torch.equal(a, b) for a, b in zip(ours, plain, strict=True))


@pytest.mark.parametrize("recipe", every_recipe(), ids=lambda recipe: recipe.id)
def test_a_training_goes_on_as_if_it_had_not_been_broken(recipe: Recipe, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "runs")
    carry_out(recipe, tmp_path, run, 2, resume=False, device=CUDA)
    path = carry_out(
        recipe, tmp_path, RunFolder(run.folder), recipe.steps, resume=True, device=CUDA
    )
    assert load(path).header.recipe["steps"] == recipe.steps
