"""Recipes that train in a second on pictures made up here, one of every learner."""

import torch
from pydantic import JsonValue

from models.checkpoint.header import Header
from training.learners.diffusion import DiffusionObjective, DiffusionSettings
from training.learners.gan import GANLearner, GANSettings
from training.learners.mixture import MixtureLearner, MixtureSettings, measure_likelihood
from training.learners.standard import StandardLearner
from training.learners.vae import VAELearner, VAESettings, fit_latents, measure_bound
from training.recipe import Data, Recipe

Figures = dict[str, JsonValue]

GAN = Header(
    family="gan",
    net={"kind": "dcgan", "latent": 4, "width": 4, "channels": 3, "size": 16},
    title="Tiny",
)
WGAN = Header(
    family="gan",
    net={"kind": "conv", "latent": 4, "width": 4, "channels": 1, "size": 8, "classes": 2},
    labels=["dark", "light"],
)
VAE = Header(
    family="vae", net={"kind": "conv", "size": 8, "width": 4, "latent": 2, "components": 2}
)
MLP_VAE = Header(
    family="vae",
    net={"kind": "mlp", "size": 8, "width": 8, "latent": 2, "likelihood": "gaussian"},
)
DIFFUSION = Header(
    family="diffusion",
    net={"size": 8, "patch": 2, "widths": [8, 16], "blocks": 1, "attention": [2], "classes": 2},
    process={"schedule": "cosine", "prediction": "v"},
    labels=["dark", "light"],
)
MIXTURE = Header(family="mixture", net={"components": 2, "latent": 3, "size": 8})


def pictures(rows: int, channels: int, size: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, (rows, channels, size, size), generator=rng, dtype=torch.uint8)


def labelled(rows: int, size: int) -> Data:
    """The second half of the rows is lighter, and its label says so."""
    label = torch.arange(rows) * 2 // rows
    x = pictures(rows, 1, size) // 2 + (label * 128).to(torch.uint8)[:, None, None, None]
    return Data((x, label), (x[:4], label[:4]), ("dark", "light"))


def count_tensors(card: Header, weights: dict[str, torch.Tensor], data: Data) -> Figures:
    return {"tensors": len(weights)}


def gan_recipe() -> Recipe:
    settings = GANSettings(steps=7, r1=1.0, r1_every=3, augment=True, mirror=True, cool=0.5)
    return Recipe(
        id="tiny-gan",
        data=lambda: Data((pictures(10, 3, 16),), (pictures(4, 3, 16),)),
        learner=lambda card, device: GANLearner(
            card, {"kind": "dcgan", "width": 4}, settings, device
        ),
        measure=count_tensors,
        card=GAN,
        settings={},
        steps=7,
        batch=4,
    )


def wgan_recipe() -> Recipe:
    settings = GANSettings(
        steps=5, loss="wasserstein", optimiser="rmsprop", critic_steps=2, penalty=10.0, clip=0.1
    )
    return Recipe(
        id="tiny-wgan",
        data=lambda: labelled(20, 8),
        learner=lambda card, device: GANLearner(
            card, {"kind": "conv", "width": 4}, settings, device
        ),
        measure=count_tensors,
        card=WGAN,
        settings={},
        steps=5,
        batch=8,
    )


def vae_recipe() -> Recipe:
    return Recipe(
        id="tiny-vae",
        data=lambda: Data((pictures(20, 1, 8),), (pictures(6, 1, 8),)),
        learner=lambda card, device: VAELearner(card, VAESettings(steps=9, warmup=3), device),
        finish=lambda card, weights, data: fit_latents(
            card,
            weights,
            data,
            lambda data: {"bright": data.train[0].float().mean((1, 2, 3)) > 127},
        ),
        measure=measure_bound,
        card=VAE,
        settings={"rate": 1e-3},
        steps=9,
        batch=8,
    )


def mlp_vae_recipe() -> Recipe:
    return Recipe(
        id="tiny-mlp-vae",
        data=lambda: Data((pictures(20, 1, 8),), (pictures(6, 1, 8),)),
        learner=lambda card, device: VAELearner(card, VAESettings(steps=5, beta=4.0), device),
        measure=measure_bound,
        card=MLP_VAE,
        settings={},
        steps=5,
        batch=8,
    )


def diffusion_recipe() -> Recipe:
    return Recipe(
        id="tiny-diffusion",
        data=lambda: labelled(20, 8),
        learner=lambda card, device: StandardLearner(
            DiffusionObjective(card, DiffusionSettings(steps=6), device)
        ),
        measure=count_tensors,
        card=DIFFUSION,
        settings={},
        steps=6,
        batch=8,
    )


def mixture_recipe(method: str = "em") -> Recipe:
    settings = MixtureSettings(method=method)  # type: ignore[arg-type]
    return Recipe(
        id=f"tiny-mixture-{method}",
        data=lambda: Data((pictures(20, 1, 8),), (pictures(6, 1, 8),)),
        learner=lambda card, device: MixtureLearner(card, settings, device),
        measure=measure_likelihood,
        card=MIXTURE,
        settings={},
        steps=5,
        batch=20,
    )


def every_recipe() -> list[Recipe]:
    return [
        gan_recipe(),
        wgan_recipe(),
        vae_recipe(),
        mlp_vae_recipe(),
        diffusion_recipe(),
        mixture_recipe("em"),
        mixture_recipe("gradient"),
    ]
