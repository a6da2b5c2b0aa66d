"""vae-sprites: squares, ellipses and hearts anywhere, the measure for beta-vae-sprites."""

from dataclasses import asdict

from models.checkpoint.header import Header
from training.data.images.sprites import ABOUT, LICENCE, load_sprites
from training.learners.vae import VAELearner, VAESettings, measure_sprites
from training.recipe import Recipe

STEPS = 10_000
SETTINGS = VAESettings(steps=STEPS, beta=1.0, warmup=2_000)

CARD = Header(
    family="vae",
    net={"kind": "mlp", "size": 64, "channels": 1, "width": 400, "latent": 10},
    title="Sprites (VAE)",
    description="White squares, ellipses and hearts of any size, turn and place on black, 64x64.",
    limitations="Its latents are entangled: it is here to be compared with beta-vae-sprites. "
    "Simple shapes only; 64x64.",
    data=ABOUT,
    data_licence=LICENCE,
    licence="MIT",
)

RECIPE = Recipe(
    id="vae-sprites",
    data=load_sprites,
    learner=lambda card, device: VAELearner(card, SETTINGS, device),
    measure=measure_sprites,
    card=CARD,
    settings=asdict(SETTINGS),
    steps=STEPS,
    batch=128,
)
