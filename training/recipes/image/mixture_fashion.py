"""mixture-fashion: garments as sums of principal components, by a Gaussian mixture."""

from dataclasses import asdict

from models.checkpoint.header import Header
from training.data.images.fashion import ABOUT, LICENCE, load_fashion
from training.learners.mixture import MixtureLearner, MixtureSettings, measure_likelihood
from training.recipe import Recipe

SETTINGS = MixtureSettings(method="em")

CARD = Header(
    family="mixture",
    net={"components": 50, "latent": 64, "channels": 1, "size": 28, "covariance": "full"},
    title="Fashion (Gaussian mixture)",
    description="The textbook's Gaussian mixture: garments, shoes and bags in grey on black, "
    "28x28, without a neural net.",
    limitations="It is a textbook example, and no product: ddpm-fashion draws far better. Soft and "
    "somewhat ghostly: a picture is a sum of 64 smooth components, so edges ring and prints "
    "dissolve. The kind can't be chosen. Grey, 28x28 only.",
    data=ABOUT,
    data_licence=LICENCE,
    licence="MIT",
)

RECIPE = Recipe(
    id="mixture-fashion",
    data=load_fashion,
    learner=lambda card, device: MixtureLearner(card, SETTINGS, device),
    measure=measure_likelihood,
    card=CARD,
    settings=asdict(SETTINGS),
    steps=30,
    batch=60_000,
)
