"""guess-emoji: the latent that a text and a set lead one to expect; t2i-emoji refines it."""

from dataclasses import asdict
from typing import Any

from models.checkpoint.header import COMPONENTS, Header
from training.data.images.captions import load_captioned
from training.data.images.lexicon import STYLES
from training.learners.prior import GuessObjective, GuessSettings, in_vectors, measure_guess
from training.learners.standard import StandardLearner
from training.recipe import Data, Recipe

STEPS = 6_000
SETTINGS = GuessSettings(steps=STEPS)
NET: dict[str, Any] = {
    "told": 256,
    "classes": len(STYLES),
    "width": 768,
    "channels": 4,
    "size": 16,
}


def load() -> Data:
    return in_vectors(load_captioned(split="picture"))


CARD = Header(
    family="guess",
    net=NET,
    title="Emoji (a guess from words)",
    description="What latent of autoencoder-emoji a text that clip-emoji has read leads one to "
    "expect, in the manner of a set of emoji or of none. It works within t2i-emoji, which holds "
    "its weights.",
    limitations="It is a mean: of what it does not know it gives a blur.",
    labels=list(STYLES),
    data="Seven emoji sets: Noto, Noto v1 and FxEmojis; Fluent flat, in colour and 3D; Twemoji "
    "(copyright Twitter, Inc and other contributors), with names and keywords from emojibase in "
    "English and Chinese. One picture in ten was held out.",
    data_licence="Apache-2.0 (Noto, Noto v1, FxEmojis), MIT (Fluent, emojibase), CC-BY-4.0 "
    "(Twemoji)",
    licence="CC-BY-4.0",
)

RECIPE = Recipe(
    id="guess-emoji",
    folder=COMPONENTS,
    data=load,
    learner=lambda card, device: StandardLearner(GuessObjective(card, SETTINGS, device)),
    card=CARD,
    settings=asdict(SETTINGS),
    steps=STEPS,
    batch=512,
    measure=measure_guess,
)
