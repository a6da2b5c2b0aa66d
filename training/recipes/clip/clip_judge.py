"""clip-judge: a second CLIP, of other emoji sets and another seed, that judges what is painted."""

from dataclasses import asdict
from typing import Any

from models.checkpoint.header import Header
from training.data.images.captions import load_captioned
from training.data.images.lexicon import word_tokenizer
from training.learners.clip import CLIPObjective, CLIPSettings
from training.learners.standard import StandardLearner
from training.metrics.image.clip_retrieval import measure_retrieval
from training.publish import JUDGES
from training.recipe import Data, Recipe
from training.recipes.clip.clip_emoji import NET

STEPS = 600
SETTINGS = CLIPSettings(steps=STEPS, long=0.0, teach=0.0, seed=1)
SETS = ("noto-v1", "twemoji", "fluent-color")


def load() -> Data:
    return load_captioned(SETS)


CARD = Header(
    family="clip",
    net=dict[str, Any](NET),
    title="Emoji (CLIP that judges)",
    description="Which of the emoji's English names fits a picture of 64x64 pixels best. No model "
    "here is led or told by it, so that its word is independent.",
    limitations="It has seen emoji alone, under their English names. It was not taught words that "
    "no emoji is called by.",
    data="Three emoji sets that clip-emoji has not seen: Noto v1, Twemoji (copyright Twitter, Inc "
    "and other contributors) and Fluent in colour, with names and keywords from emojibase. One "
    "caption in ten was held out.",
    data_licence="Apache-2.0 (Noto v1), CC-BY-4.0 (Twemoji), MIT (Fluent, emojibase)",
    licence="CC-BY-4.0",
)

RECIPE = Recipe(
    id="clip-judge",
    folder=JUDGES,
    data=load,
    learner=lambda card, device: StandardLearner(
        CLIPObjective(card, word_tokenizer(), SETTINGS, device)
    ),
    card=CARD,
    settings=asdict(SETTINGS),
    steps=STEPS,
    batch=256,
    seed=1,
    measure=measure_retrieval,
)
