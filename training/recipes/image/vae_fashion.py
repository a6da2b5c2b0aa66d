"""vae-fashion: garments, shoes and bags in grey, 28x28, from Fashion-MNIST."""

from dataclasses import asdict

from models.checkpoint.header import Header
from training.data.images.fashion import ABOUT, LICENCE, fashion_tags, load_fashion
from training.learners.vae import VAELearner, VAESettings, fit_latents, measure_bound
from training.recipe import Recipe

STEPS = 8_000
SETTINGS = VAESettings(steps=STEPS)

CARD = Header(
    family="vae",
    net={
        "kind": "conv",
        "size": 28,
        "channels": 1,
        "width": 32,
        "latent": 16,
        "components": 60,
        "covariance": "full",
    },
    title="Fashion (VAE)",
    description="Garments, shoes and bags in grey on black, 28x28.",
    limitations="Soft: fabric, prints, buttons and laces are smoothed away. About one picture in "
    "eight is a blur or a blend of two kinds, such as a shoe and a bag; sandals and bags suffer "
    "most. The kind can't be chosen. Grey, 28x28 only.",
    data=ABOUT,
    data_licence=LICENCE,
    licence="MIT",
)

RECIPE = Recipe(
    id="vae-fashion",
    data=load_fashion,
    learner=lambda card, device: VAELearner(card, SETTINGS, device),
    finish=lambda card, weights, data: fit_latents(card, weights, data, fashion_tags),
    measure=measure_bound,
    card=CARD,
    settings=asdict(SETTINGS),
    steps=STEPS,
    batch=128,
)
