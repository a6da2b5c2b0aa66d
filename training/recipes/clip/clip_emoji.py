"""clip-emoji: pictures and words in one space, from captioned emoji; its text tower conditions."""

from dataclasses import asdict
from typing import Any

from models.checkpoint.header import COMPONENTS, Header
from training.data.images.captions import CONTEXT, load_captioned
from training.data.images.lexicon import ROWS, taught, word_tokenizer
from training.learners.clip import CLIPObjective, CLIPSettings
from training.learners.standard import StandardLearner
from training.metrics.image.clip_retrieval import measure_retrieval
from training.recipe import Data, Recipe

STEPS = 1_200
SETTINGS = CLIPSettings(steps=STEPS)
SETS = ("noto", "fluent-flat", "fluent-3d", "fxemoji")
NET: dict[str, Any] = {
    "embed_dim": 256,
    "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 24, "head_width": 64},
    "text_cfg": {
        "context_length": CONTEXT,
        "vocab_size": ROWS,
        "width": 256,
        "heads": 4,
        "layers": 3,
    },
}


def load() -> Data:
    return load_captioned(SETS)


CARD = Header(
    family="clip",
    net=NET,
    title="Emoji (CLIP)",
    description="Pictures of 64x64 pixels and words, in English and Chinese, in one space: it "
    "reads prompts for other models, and leads pictures towards them.",
    limitations="It has seen emoji alone. English words that no emoji is called by it knows by "
    "their likeness to others, as its teacher saw it; Chinese ones by their characters only.",
    data="Four emoji sets (Noto and FxEmojis; Fluent flat and 3D) with names and keywords from "
    "emojibase in English and Chinese; one caption in ten was held out. Phrases with the vectors "
    "of all-MiniLM-L6-v2.",
    data_licence="Apache-2.0 (Noto, FxEmojis, all-MiniLM-L6-v2), MIT (Fluent, emojibase)",
    licence="Apache-2.0",
)

RECIPE = Recipe(
    id="clip-emoji",
    folder=COMPONENTS,
    data=load,
    learner=lambda card, device: StandardLearner(
        CLIPObjective(card, word_tokenizer(), SETTINGS, device, taught())
    ),
    card=CARD,
    settings=asdict(SETTINGS),
    steps=STEPS,
    batch=256,
    measure=measure_retrieval,
)
