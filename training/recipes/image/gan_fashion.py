"""gan-fashion: the first of its kind, fully connected, with the logistic loss."""

from dataclasses import asdict
from typing import Any

from models.checkpoint.header import Header
from training.data.images.fashion import ABOUT, LICENCE, load_fashion
from training.learners.gan import GANLearner, GANSettings, start_from_components
from training.recipe import Recipe

JUDGE: dict[str, Any] = {"kind": "conv", "width": 16}
STEPS = 24_000
SETTINGS = GANSettings(
    steps=STEPS,
    loss="logistic",
    generator_rate=2e-4,
    critic_rate=2e-4,
    r1=1.0,
    half_life=50_000,
    cool=9_000 / STEPS,
    components=128,
)

CARD = Header(
    family="gan",
    net={"kind": "mlp", "latent": 64, "hidden": 1024, "channels": 1, "size": 28},
    title="Fashion (GAN)",
    description="Garments, shoes and bags in grey on black, 28x28, by fully connected nets.",
    limitations="Cloth is blotched. About one picture in eight falls apart, most often a bag, a "
    "sandal or a patterned dress. The kind can't be chosen. Grey, 28x28 only.",
    data=ABOUT,
    data_licence=LICENCE,
    licence="MIT",
)

RECIPE = Recipe(
    id="gan-fashion",
    data=load_fashion,
    learner=lambda card, device: GANLearner(card, JUDGE, SETTINGS, device),
    start=lambda learner, data: start_from_components(learner, data, learner.settings.components),
    card=CARD,
    settings={"judge": dict(JUDGE), **asdict(SETTINGS)},
    steps=STEPS,
    batch=64,
)
