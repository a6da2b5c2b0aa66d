"""autoencoder-emoji: 64x64 emoji to 16x16 latents and back; t2i-emoji paints in them."""

from dataclasses import asdict
from typing import Any

from models.checkpoint.header import COMPONENTS, Header
from training.data.images.captions import load_captioned
from training.learners.autoencoder import (
    AutoencoderObjective,
    AutoencoderSettings,
    measure_reconstruction,
    with_measures,
)
from training.learners.standard import StandardLearner
from training.recipe import Recipe

STEPS = 2_000
SETTINGS = AutoencoderSettings(steps=STEPS)
NET: dict[str, Any] = {
    "size": 64,
    "channels": 3,
    "latent": 4,
    "patch": 2,
    "widths": [64, 128],
    "blocks": 1,
}

CARD = Header(
    family="autoencoder",
    net=NET,
    title="Emoji (autoencoder)",
    description="Emoji of 64x64 pixels as 4 numbers on each of 16x16 places, and back.",
    limitations="Fine hatching and small print are smoothed. It makes nothing by itself.",
    data="Seven emoji sets: Noto, Noto v1 and FxEmojis; Fluent flat, in colour and 3D; Twemoji "
    "(copyright Twitter, Inc and other contributors). One caption in ten was held out.",
    data_licence="Apache-2.0 (Noto, Noto v1, FxEmojis), MIT (Fluent), CC-BY-4.0 (Twemoji)",
    licence="CC-BY-4.0",
)

RECIPE = Recipe(
    id="autoencoder-emoji",
    folder=COMPONENTS,
    data=load_captioned,
    learner=lambda card, device: StandardLearner(AutoencoderObjective(card, SETTINGS, device)),
    card=CARD,
    settings=asdict(SETTINGS),
    steps=STEPS,
    batch=32,
    finish=with_measures,
    measure=measure_reconstruction,
)
