"""wgan-fashion: the Wasserstein loss, a critic held by clipped weights."""

from dataclasses import asdict
from typing import Any

from models.checkpoint.header import Header
from training.data.images.fashion import ABOUT, LICENCE, load_fashion
from training.learners.gan import GANLearner, GANSettings
from training.recipe import Recipe

JUDGE: dict[str, Any] = {"kind": "conv", "width": 16, "norm": True}
STEPS = 24_000
SETTINGS = GANSettings(
    steps=STEPS,
    loss="wasserstein",
    optimiser="rmsprop",
    generator_rate=1e-4,
    critic_rate=1e-4,
    critic_steps=3,
    clip=0.01,
    half_life=15_000,
    cool=6_000 / STEPS,
)

CARD = Header(
    family="gan",
    net={"kind": "conv", "latent": 64, "width": 32, "channels": 1, "size": 28},
    title="Fashion (WGAN)",
    description="Garments, shoes and bags in grey on black, 28x28,"
    " by the Wasserstein distance with clipped weights.",
    limitations="Coats, trousers and shoes come out best. About one picture in seven is torn or "
    "a shred, sandals and bags most of all, and cloth has a weave that no garment has. The kind "
    "can't be chosen. Grey, 28x28 only.",
    data=ABOUT,
    data_licence=LICENCE,
    licence="MIT",
)

RECIPE = Recipe(
    id="wgan-fashion",
    data=load_fashion,
    learner=lambda card, device: GANLearner(card, JUDGE, SETTINGS, device),
    card=CARD,
    settings={"judge": dict(JUDGE), **asdict(SETTINGS)},
    steps=STEPS,
    batch=96,
)
