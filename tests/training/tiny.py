"""A GAN and a VAE recipe that train in a second on pictures made up here."""

import torch

from models.header import Header
from training.adversarial import GANLearner, GANSettings
from training.recipe import Data, Recipe
from training.variational import VAELearner, VAESettings, measure_bound

GAN_NET = {"latent": 4, "width": 4, "channels": 3, "size": 16}
VAE_NET = {"size": 8, "channels": 1, "width": 4, "latent": 2}


def pictures(rows: int, channels: int, size: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, (rows, channels, size, size), generator=rng, dtype=torch.uint8)


def gan_recipe() -> Recipe:
    judge = {"width": 4, "channels": 3, "size": 16}
    settings = GANSettings(r1_every=3, cool_from=2, cool_until=6)
    return Recipe(
        id="tiny-gan",
        data=lambda: Data((pictures(10, 3, 16),), (pictures(4, 3, 16),)),
        learner=lambda device: GANLearner(GAN_NET, judge, settings, device),
        measure=lambda weights, data: {"tensors": float(len(weights))},
        card=Header(family="dcgan", net=dict(GAN_NET), title="Tiny"),
        settings={},
        steps=7,
        batch=4,
    )


def vae_recipe() -> Recipe:
    return Recipe(
        id="tiny-vae",
        data=lambda: Data((pictures(20, 1, 8),), (pictures(6, 1, 8),)),
        learner=lambda device: VAELearner(VAE_NET, VAESettings(steps=9), device),
        measure=lambda weights, data: measure_bound(VAE_NET, weights, data),
        card=Header(family="vae", net=dict(VAE_NET)),
        settings={"rate": 1e-3},
        steps=9,
        batch=8,
    )
