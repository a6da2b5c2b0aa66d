"""video-diffusion-emoji: words to clips of 16 frames of 64x64, by diffusion in latents."""

from dataclasses import asdict
from typing import Any

import torch

from models.checkpoint.header import SUFFIX, Header
from models.checkpoint.weights import load as load_checkpoint
from training.components import checkpoints_folder, requirement_of
from training.data.images.lexicon import STYLES
from training.data.video.clips import ABOUT, LICENCE
from training.learners.standard import StandardLearner
from training.learners.video.video_columns import clips_in_latents
from training.learners.video.video_diffusion import VideoDiffusionObjective, VideoDiffusionSettings
from training.learners.video.video_texts import video_texts
from training.recipe import Data, Learner, Recipe, TrainedWeights

STEPS = 5_000
PAINTER = "t2i-emoji"
SETTINGS = VideoDiffusionSettings(steps=STEPS)
UNET: dict[str, Any] = {
    "size": 16,
    "channels": 4,
    "patch": 1,
    "widths": [96, 160, 160],
    "blocks": 1,
    "attention": [8, 4],
    "classes": len(STYLES),
    "told": 256,
    "pooled": 256,
}
PROCESS: dict[str, Any] = {
    "schedule": "cosine",
    "steps": 1000,
    "prediction": "v",
    "clip": False,
    "guidance": 3.0,
    "shared": 0.5,
}


def learner(card: Header, device: torch.device) -> Learner:
    painter = load_checkpoint(checkpoints_folder() / f"{PAINTER}{SUFFIX}")
    return StandardLearner(VideoDiffusionObjective(card, painter, video_texts(), SETTINGS, device))


def with_requirements(card: Header, weights: dict[str, torch.Tensor], data: Data) -> TrainedWeights:
    """The parts it works with, by their hashes."""
    roles = ("clip", "guess", "autoencoder", "upscaler")
    requires = {role: requirement_of(f"{role}-emoji") for role in roles}
    return TrainedWeights(card.model_copy(update={"requires": requires}), weights)


CARD = Header(
    family="video_diffusion",
    net={"frames": 16, "size": 64, "unet": UNET},
    process=PROCESS,
    title="Moving emoji (diffusion)",
    description="Clips of 16 frames of 64x64 pixels that loop, from words, in English and Chinese.",
    limitations="It has seen 650 emoji move, some in other skin tones, and stills of all. Faces, "
    "hearts, hands, animals and people move as theirs do; what only stands among emoji mostly "
    "wobbles. Fingers, mouths, wheels and letters are smeared, and change from frame to frame. Of "
    "what no emoji shows the colour comes out, seldom the thing. Its clips are loops; other "
    "numbers of frames than 16 are less sure. It was stopped long before it had "
    "learnt all it could.",
    defaults={"sampler": "dpmpp_2m", "steps": 20, "style": "fluent-3d"},
    labels=list(STYLES),
    data=f"{ABOUT}, and stills of seven emoji sets (Noto, Noto v1 and FxEmojis; Fluent flat, in "
    "colour and 3D; Twemoji, copyright Twitter, Inc and other contributors), with names from "
    "emojibase. One moving emoji in ten was never seen to move.",
    data_licence=f"{LICENCE} (Fluent, emojibase), Apache-2.0 (Noto, Noto v1, FxEmojis), CC-BY-4.0 "
    "(Twemoji)",
    licence="CC-BY-4.0",
)

RECIPE = Recipe(
    id="video-diffusion-emoji",
    data=clips_in_latents,
    learner=learner,
    card=CARD,
    settings=asdict(SETTINGS),
    steps=STEPS,
    batch=64,
    finish=with_requirements,
)
