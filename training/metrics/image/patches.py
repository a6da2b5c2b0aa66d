"""How near an adversarial generator comes to held-out pictures, by their patches."""

from typing import Any

import torch
from pydantic import JsonValue
from torch import Tensor

from models.checkpoint.header import Header
from models.image.directions import DIRECTIONS
from models.nets.gan import generator_of
from training.metrics.image.patch_distances import mean_patch_distances, nearest_rms
from training.recipe import Data


def measure_patches(card: Header, weights: dict[str, Tensor], data: Data) -> dict[str, JsonValue]:
    """Patch distances of generated pictures, of training pictures and of noise to the held-out.

    The distance of training pictures is what a perfect generator would reach, that of noise what
    none should. How near the generated lie to a training picture tells of copying; held-out
    pictures are the measure for that.
    """
    rng = torch.Generator().manual_seed(0)
    config: dict[str, Any] = dict(card.net)
    net = generator_of(**config)
    net.load_state_dict({k: w.float() for k, w in weights.items() if k != DIRECTIONS})
    net.eval()
    train, test = (columns[0].float().div(255) for columns in (data.train, data.test))
    many = 8 * len(test)
    with torch.no_grad():
        generated: Tensor = (
            net(torch.randn(many, config["latent"], generator=rng), None).add(1).div(2)
        )
    sets = {
        "generated": generated,
        "training": train[torch.randint(len(train), (many,), generator=rng)],
        "noise": torch.rand(generated.shape, generator=rng),
    }
    figures: dict[str, JsonValue] = {
        "distance": "sliced Wasserstein x1000 of 7x7 patches, by the side of their level, "
        f"to {len(test)} held-out pictures"
    }
    for name, pictures in sets.items():
        distances = mean_patch_distances(pictures, test, rng)
        figures |= {f"{name}_{side}": round(mean, 1) for side, mean in distances.items()}
    for name, pictures in (("generated", generated), ("held_out", test)):
        median = nearest_rms(pictures, train).median().item()
        figures[f"{name}_rms_to_nearest_training"] = round(median, 3)
    return figures
