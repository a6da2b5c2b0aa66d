"""cgan-fashion: garments by kind, a critic that knows the labels."""

from dataclasses import asdict
from typing import Any

from models.checkpoint.header import Header
from training.data.images.fashion import ABOUT, LABELS, LICENCE, load_fashion
from training.learners.gan import GANLearner, GANSettings
from training.recipe import Recipe

JUDGE: dict[str, Any] = {"kind": "conv", "width": 16}
STEPS = 18_000
SETTINGS = GANSettings(
    steps=STEPS,
    loss="logistic",
    generator_rate=3e-4,
    critic_rate=3e-4,
    r1=1.0,
    half_life=20_000,
    cool=4_000 / STEPS,
)

CARD = Header(
    family="gan",
    net={
        "kind": "conv",
        "latent": 64,
        "width": 32,
        "channels": 1,
        "size": 28,
        "classes": 10,
    },
    title="Fashion (conditional GAN)",
    description="Garments, shoes and bags in grey on black, 28x28, by kind.",
    limitations="Shirts, pullovers and coats look much alike, as they do in the data. Sandals and "
    "the handles of bags are sometimes broken, and cloth can be blotched. Grey, 28x28 "
    "only.",
    labels=list(LABELS),
    data=ABOUT,
    data_licence=LICENCE,
    licence="MIT",
)

RECIPE = Recipe(
    id="cgan-fashion",
    data=load_fashion,
    learner=lambda card, device: GANLearner(card, JUDGE, SETTINGS, device),
    card=CARD,
    settings={"judge": dict(JUDGE), **asdict(SETTINGS)},
    steps=STEPS,
    batch=64,
)
