"""wgan-gp-fashion: the Wasserstein loss, a critic held by a gradient penalty."""

from dataclasses import asdict
from typing import Any

from models.checkpoint.header import Header
from training.data.images.fashion import ABOUT, LICENCE, load_fashion
from training.learners.gan import GANLearner, GANSettings
from training.recipe import Recipe

JUDGE: dict[str, Any] = {"kind": "conv", "width": 16}
STEPS = 30_000
SETTINGS = GANSettings(
    steps=STEPS,
    loss="wasserstein",
    generator_rate=3e-4,
    critic_rate=3e-4,
    beta1=0.0,
    beta2=0.9,
    critic_steps=2,
    penalty=10.0,
    half_life=20_000,
    cool=4_000 / STEPS,
)

CARD = Header(
    family="gan",
    net={"kind": "conv", "latent": 64, "width": 32, "channels": 1, "size": 28},
    title="Fashion (WGAN-GP)",
    description="Garments, shoes and bags in grey on black, 28x28,"
    " by the Wasserstein distance with a gradient penalty.",
    limitations="About one picture in ten is torn or a blend of kinds, most often a bag, a "
    "sandal or a patterned top. The kind can't be chosen. Grey, 28x28 only.",
    data=ABOUT,
    data_licence=LICENCE,
    licence="MIT",
)

RECIPE = Recipe(
    id="wgan-gp-fashion",
    data=load_fashion,
    learner=lambda card, device: GANLearner(card, JUDGE, SETTINGS, device),
    card=CARD,
    settings={"judge": dict(JUDGE), **asdict(SETTINGS)},
    steps=STEPS,
    batch=64,
)
