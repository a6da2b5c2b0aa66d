"""wavenet-music: plays scores in four styles, a sample after another, at 16 kHz."""

from dataclasses import asdict
from typing import Any

from torch import Tensor

from models.checkpoint.header import Header
from models.music.piano_roll import Rolled
from training.components import requirement_of
from training.data.music.audio_columns import Windows, load_heard
from training.data.music.build import ABOUT, STYLES
from training.data.music.rendering import RATE
from training.learners.standard import StandardLearner
from training.learners.wavenet import WaveNetObjective, WaveNetSettings, measure_bits
from training.recipe import Data, Recipe, TrainedWeights

STEPS = 9_977
MINUTES = 60.0  # of each style
FRAMES = 300  # a row: three seconds
ROLLED = Rolled(28, 108)  # as the corpus has them, and a little more
SETTINGS = WaveNetSettings(steps=STEPS, crop=100, warmup=498, shown=0.2, compiled=True)
NET: dict[str, Any] = {
    "blocks": 3,
    "layers": 10,
    "residual": 32,
    "gate": 32,
    "skip": 256,
    "classes": 256,
    "styles": len(STYLES),
    "pitches": ROLLED.channels,
    "hop": 160,
    "around": 8,
    "width": 96,
}


def load() -> Data:
    return load_heard(MINUTES, Windows(FRAMES, NET["hop"], ROLLED))


def with_composer(card: Header, weights: dict[str, Tensor], data: Data) -> TrainedWeights:
    """The composer that writes what it plays where nobody gives it a score, by its hash."""
    composer = requirement_of("composer")
    return TrainedWeights(card.model_copy(update={"requires": {"composer": composer}}), weights)


CARD = Header(
    family="wavenet",
    net=NET,
    process={"rate": RATE, "gain": 1.0, "pitches": [ROLLED.lowest, ROLLED.highest]},
    title="Music",
    description="Plays scores at 16 kHz, a sample after another: church organ, flute, jazz with "
    "piano and bass, electronic music, as the style says.",
    limitations="It knows the instruments of its four styles alone, as one synthesizer sounds "
    "them, and plays all but bass and percussion of a score on one of them. A long note may waver. "
    "For posted scores it is a textbook example, and no product: many notes sound at another "
    "pitch, most of all in electronic music.",
    data=ABOUT + ". One piece in ten was held out.",
    data_licence="MIT (FluidR3); public domain (chorales, fiddle tunes)",
    licence="Apache-2.0",
    labels=list(STYLES),
)

RECIPE = Recipe(
    id="wavenet-music",
    data=load,
    learner=lambda card, device: StandardLearner(WaveNetObjective(card, SETTINGS, device)),
    card=CARD,
    settings=asdict(SETTINGS),
    steps=STEPS,
    batch=32,
    finish=with_composer,
    measure=measure_bits,
)
