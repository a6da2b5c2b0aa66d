"""upscaler-emoji: 64x64 emoji to 256x256; what `upscale` of t2i-emoji asks for."""

from dataclasses import asdict
from typing import Any

from models.checkpoint.header import COMPONENTS, Header
from training.data.images.emoji_large import load_pairs
from training.learners.standard import StandardLearner
from training.learners.upscaler import (
    UpscalerObjective,
    UpscalerSettings,
    measure_upscaler,
    with_soft,
)
from training.recipe import Data, Recipe

STEPS = 5_000
SETTINGS = UpscalerSettings(steps=STEPS)
NET: dict[str, Any] = {"channels": 3, "width": 48, "blocks": 8, "factor": 4}


def load() -> Data:
    return with_soft(load_pairs())


CARD = Header(
    family="upscaler",
    net=NET,
    title="Emoji (upscaler)",
    description="Emoji made four times as wide and as high, with the edges of drawn ones.",
    limitations="It knows flat shapes with clean edges. Photographs look painted, print and "
    "hatching that 64 pixels can't hold stay illegible, and a picture's faults grow with it.",
    data="350 pictures each of seven emoji sets, at 256 and at 64 pixels: Noto, Noto v1 and "
    "FxEmojis; Fluent flat, in colour and 3D; Twemoji (copyright Twitter, Inc and other "
    "contributors). One caption in ten was held out.",
    data_licence="Apache-2.0 (Noto, Noto v1, FxEmojis), MIT (Fluent), CC-BY-4.0 (Twemoji)",
    licence="CC-BY-4.0",
)

RECIPE = Recipe(
    id="upscaler-emoji",
    folder=COMPONENTS,
    data=load,
    learner=lambda card, device: StandardLearner(UpscalerObjective(card, SETTINGS, device)),
    card=CARD,
    settings=asdict(SETTINGS),
    steps=STEPS,
    batch=16,
    measure=measure_upscaler,
)
