"""beta-vae-sprites: squares, ellipses and hearts anywhere, with latents that want to be apart."""

from dataclasses import asdict

from models.checkpoint.header import Header
from training.data.images.sprites import ABOUT, LICENCE, load_sprites
from training.learners.vae import VAELearner, VAESettings, measure_sprites
from training.recipe import Recipe

STEPS = 10_000
SETTINGS = VAESettings(steps=STEPS, beta=10.0, warmup=2_000)

CARD = Header(
    family="vae",
    net={"kind": "mlp", "size": 64, "channels": 1, "width": 400, "latent": 10},
    title="Sprites (beta-VAE)",
    description="White squares, ellipses and hearts of any size, turn and place on black, 64x64.",
    limitations="Blobs: it says where a sprite is and how large, and next to nothing of its "
    "shape. Simple shapes only; 64x64.",
    data=ABOUT,
    data_licence=LICENCE,
    licence="MIT",
)

RECIPE = Recipe(
    id="beta-vae-sprites",
    data=load_sprites,
    learner=lambda card, device: VAELearner(card, SETTINGS, device),
    measure=measure_sprites,
    card=CARD,
    settings=asdict(SETTINGS),
    steps=STEPS,
    batch=128,
)
