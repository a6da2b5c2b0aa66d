"""Many pictures of a model at once are those that the service would make of the same requests."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from models.artifacts import Artifact, Audio, Image
from models.checkpoint.header import Header
from models.checkpoint.weights import load
from models.engine.batching import BatchedFn
from models.engine.flow import Inputs, Step, run_alone
from models.engine.noise import seeded
from models.families import FAMILIES
from models.nets.unet import UNet
from models.params.base import Params, item_seed
from tests.models.families import tiny_checkpoint
from training.evaluation.image import image_requests
from training.generate import generate_items, generate_pixels, load_model

CPU = torch.device("cpu")
LABELS = ("shirt", "shoe", "bag")
QUICK = {"diffusion": {"steps": 2}}


@pytest.mark.parametrize("family", ["vae", "gan", "diffusion", "mixture"])
def test_pictures_are_those_that_the_service_would_make(family: str, tmp_path: Path) -> None:
    checkpoint = load(tiny_checkpoint(tmp_path, family))
    model = load_model(checkpoint, CPU)
    params = FAMILIES[family].params.model_validate(QUICK.get(family, {}))
    images = generate_pixels(model, [params] * 7, 5, CPU)
    for index in (0, 3, 6):
        (alone,) = run_alone(model.generate(params, seeded(item_seed(5, index))))
        assert isinstance(alone, Image)
        assert torch.equal(images[index], alone.pixels.clamp(0, 1).mul(255).round().byte())


def test_a_net_that_rounds_otherwise_in_large_batches_is_run_in_small_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = UNet.forward

    def rounded(net: UNet, x: Tensor, *cond: Any) -> Tensor:
        return forward(net, x, *cond) + (0.1 if len(x) > 6 else 0)

    monkeypatch.setattr(UNet, "forward", rounded)
    model = load_model(load(tiny_checkpoint(tmp_path, "diffusion")), CPU)
    params = FAMILIES["diffusion"].params.model_validate({"steps": 2})
    images = generate_pixels(model, [params] * 9, 5, CPU)
    (alone,) = run_alone(model.generate(params, seeded(item_seed(5, 8))))
    assert isinstance(alone, Image)
    assert torch.equal(images[8], alone.pixels.clamp(0, 1).mul(255).round().byte())


def test_flows_of_unlike_length_and_more_than_fit_end_in_their_order(tmp_path: Path) -> None:
    model = load_model(load(tiny_checkpoint(tmp_path, "diffusion")), CPU)
    kind = FAMILIES["diffusion"].params
    asked = [
        kind.model_validate({"steps": 1 + i % 4, "class_label": LABELS[i % 3]}) for i in range(9)
    ]
    whole = generate_pixels(model, asked, 0, CPU)
    model.max_items = 2
    assert torch.equal(generate_pixels(model, asked, 0, CPU), whole)


def test_pictures_that_count_as_several_rows_are_made_fewer_at_a_time() -> None:
    header = Header(family="stable_diffusion", net={})
    asked = image_requests(header, {"prompt": "red", "width": 768, "height": 768}, 5).params
    assert [params.rows for params in asked] == [3] * 5  # a size is no walk
    grey: BatchedFn[Tensor] = BatchedFn(lambda x: x, (torch.zeros(1, 2, 2),))

    class Held:
        """How many rows of its flows are open at once."""

        max_items, open_rows, most = 7, 0, 0

        async def generate(
            self, params: Params, rng: torch.Generator, inputs: Inputs
        ) -> tuple[Artifact, ...]:
            self.open_rows += params.rows
            self.most = max(self.most, self.open_rows)
            images = Image(await Step(grey, (torch.rand(1, 2, 2, generator=rng),)))
            self.open_rows -= params.rows
            return (images,)

    model: Any = Held()
    assert generate_pixels(model, asked, 0, CPU).shape == (5, 1, 2, 2)
    assert model.most == 6
    model.max_items = 2  # one is always made
    assert len(generate_pixels(model, asked, 0, CPU)) == 5


def test_an_artifact_of_another_kind_is_refused(tmp_path: Path) -> None:
    model = load_model(load(tiny_checkpoint(tmp_path, "vae")), CPU)
    requests = [FAMILIES["vae"].params()]
    assert len(generate_items(model, requests, 1, CPU, Image)) == 1
    with pytest.raises(TypeError, match="expected Audio, got Image"):
        generate_items(model, requests, 1, CPU, Audio)
