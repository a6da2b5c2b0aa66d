"""beta-vae-sprites: squares, ellipses and hearts anywhere, with latents that want to be apart."""

from dataclasses import asdict

from models.checkpoint.header import Header
from training.data.images.sprites import ABOUT, LICENCE, load_sprites
from training.learners.vae import VAELearner, VAESettings, fit_latents, measure_sprites
from training.recipe import Recipe
from training.recipes.image.vae_sprites import NET

STEPS = 24_000
SETTINGS = VAESettings(steps=STEPS, rate=2e-3, correlation=4.0, warmup=4_000)

CARD = Header(
    family="vae",
    net=NET,
    title="Sprites (beta-VAE)",
    description="White squares, ellipses and hearts of any size, turn and place on black, 64x64.",
    limitations="Hearts are rounded triangles, and about one picture in ten has a ragged edge "
    "or is a blend of two shapes; with the normal prior a few are no sprite at all. "
    "Its latents know place and size each by itself; the turn of a shape is spread "
    "over several. Simple shapes only; 64x64.",
    data=ABOUT,
    data_licence=LICENCE,
    licence="MIT",
)

RECIPE = Recipe(
    id="beta-vae-sprites",
    data=load_sprites,
    learner=lambda card, device: VAELearner(card, SETTINGS, device),
    finish=fit_latents,
    measure=measure_sprites,
    card=CARD,
    settings=asdict(SETTINGS),
    steps=STEPS,
    batch=64,
)
