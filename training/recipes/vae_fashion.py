"""vae-fashion: garments, shoes and bags in grey, 28x28, from Fashion-MNIST."""

from dataclasses import asdict

from models.header import Header
from training.data.fashion import load_fashion
from training.recipe import Recipe
from training.variational import VAELearner, VAESettings, measure_bound

NET = {"size": 28, "channels": 1, "width": 32, "latent": 16}
STEPS = 8_000
SETTINGS = VAESettings(steps=STEPS)

CARD = Header(
    family="vae",
    net=dict(NET),
    title="Fashion (VAE)",
    description="Garments, shoes and bags in grey on black, 28x28.",
    limitations="Soft: fabric, prints, buttons and laces are smoothed away. About one picture in "
    "eight is a blur or a blend of two kinds, such as a shoe and a bag; sandals and bags suffer "
    "most. The kind can't be chosen. Grey, 28x28 only.",
    data="Fashion-MNIST: 60,000 training pictures of ten kinds (Xiao, Rasul and Vollgraf 2017).",
    data_licence="MIT (copyright 2017 Zalando SE)",
    licence="MIT",
)

RECIPE = Recipe(
    id="vae-fashion",
    data=load_fashion,
    learner=lambda device: VAELearner(NET, SETTINGS, device),
    measure=lambda weights, data: measure_bound(NET, weights, data),
    card=CARD,
    settings=asdict(SETTINGS),
    steps=STEPS,
    batch=128,
)
