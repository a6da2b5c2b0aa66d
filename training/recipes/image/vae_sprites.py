"""vae-sprites: squares, ellipses and hearts anywhere, the measure for beta-vae-sprites."""

from dataclasses import asdict

from pydantic import JsonValue

from models.checkpoint.header import Header
from training.data.images.sprites import ABOUT, LICENCE, load_sprites
from training.learners.vae import VAELearner, VAESettings, fit_latents, measure_sprites
from training.recipe import Recipe

STEPS = 20_000
SETTINGS = VAESettings(steps=STEPS, rate=2e-3, warmup=2_000)

NET: dict[str, JsonValue] = {
    "kind": "broadcast",
    "size": 64,
    "channels": 1,
    "width": 96,
    "latent": 10,
    "components": 200,
    "covariance": "full",
}
"""Of both models, so that only their losses differ."""

CARD = Header(
    family="vae",
    net=NET,
    title="Sprites (VAE)",
    description="White squares, ellipses and hearts of any size, turn and place on black, 64x64.",
    limitations="Its latents are entangled: it is here to be compared with beta-vae-sprites. "
    "Hearts are rounded triangles; with the normal prior about one picture in ten "
    "is blurred, ragged or empty. Simple shapes only; 64x64.",
    data=ABOUT,
    data_licence=LICENCE,
    licence="MIT",
)

RECIPE = Recipe(
    id="vae-sprites",
    data=load_sprites,
    learner=lambda card, device: VAELearner(card, SETTINGS, device),
    finish=fit_latents,
    measure=measure_sprites,
    card=CARD,
    settings=asdict(SETTINGS),
    steps=STEPS,
    batch=64,
)
