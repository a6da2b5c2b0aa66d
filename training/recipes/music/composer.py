"""composer: scores in four styles, a token after another."""

from dataclasses import asdict
from typing import Any

from models.checkpoint.header import Header
from models.music.composition import facts_of
from training.data.music.build import STYLES
from training.data.music.score_columns import load_scored
from training.data.music.token_columns import vocabulary
from training.learners.composer import ComposerObjective, ComposerSettings, measure_composer
from training.learners.standard import StandardLearner
from training.recipe import Data, Recipe

STEPS = 4_540
SETTINGS = ComposerSettings(steps=STEPS, warmup=227)
REPEATS = {"classical": 4, "folk": 2, "jazz": 1, "electronic": 1}
"""How often each style's pieces come in what is learnt from: of chorales there are few."""
NET: dict[str, Any] = {
    "vocabulary": vocabulary().size,
    "facts": facts_of(vocabulary()),
    "layers": 6,
    "width": 256,
    "heads": 4,
    "groups": 2,
    "inner": 704,
    "window": 1024,
}


def load() -> Data:
    return load_scored({style: REPEATS[style] for style in STYLES})


CARD = Header(
    family="composer",
    net=NET,
    title="Composer",
    description="Writes scores as MIDI: chorales for organ, fiddle tunes for flute, jazz trios, "
    "electronic loops; in a key and at a tempo of one's choice, or going on from what is given.",
    limitations="It sees the last 1024 tokens, ten seconds of a dense piece, and plans no longer. "
    "Jazz and electronic pieces are accompaniments without a melody, as a program plays them.",
    data="Scores in four styles: four-part chorales of J. S. Bach and fiddle tunes of Ryan's "
    "Mammoth Collection (1883), from music21's corpus; jazz and electronic accompaniments by MMA "
    "over random progressions. One piece in ten was held out.",
    data_licence="public domain (chorales, fiddle tunes); made here (accompaniments)",
    licence="Apache-2.0",
    labels=list(STYLES),
)

RECIPE = Recipe(
    id="composer",
    data=load,
    learner=lambda card, device: StandardLearner(ComposerObjective(card, SETTINGS, device)),
    card=CARD,
    settings=asdict(SETTINGS),
    steps=STEPS,
    batch=32,
    measure=measure_composer,
)
