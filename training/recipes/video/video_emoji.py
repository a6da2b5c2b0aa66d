"""video-emoji: words to clips of 16 frames of 64x64, by a GAN of 3D convolutions."""

from dataclasses import asdict
from typing import Any

import torch

from models.checkpoint.header import Header
from training.components import requirement_of
from training.data.video.clips import ABOUT, LICENCE
from training.learners.video.video_columns import latents_with_texts
from training.learners.video.video_gan import VideoGANLearner, VideoGANSettings
from training.learners.video.video_texts import STYLE
from training.recipe import Data, Recipe, TrainedWeights

JUDGE: dict[str, Any] = {"width": 32}
STEPS = 2_400
SETTINGS = VideoGANSettings(steps=STEPS, alone=1_500 / STEPS, cool=250 / STEPS)


def with_requirements(card: Header, weights: dict[str, torch.Tensor], data: Data) -> TrainedWeights:
    """The parts it works with, by their hashes; and that it makes one number of frames."""
    frames = card.net["frames"]
    roles = ("clip", "guess", "autoencoder", "upscaler")
    requires = {role: requirement_of(f"{role}-emoji") for role in roles}
    facts = {
        "requires": requires,
        "defaults": card.defaults | {"frames": frames},
        "limits": card.limits | {"frames": (frames, frames)},
    }
    return TrainedWeights(Header.model_validate(dict(card) | facts), weights)


CARD = Header(
    family="video_gan",
    net={
        "latent": 320,
        "text_dim": 256,
        "hidden": 128,
        "width": 128,
        "frames": 16,
        "channels": 4,
        "size": 16,
        "blur": 0.4,
        "style": STYLE,
    },
    title="Moving emoji (3D GAN)",
    description="The textbook's 3D GAN: clips of 16 frames of 64x64 pixels that loop, from words, "
    "in one step.",
    limitations="It is a textbook example, and no product. Most things and faces are recognized, "
    "but soft and blotched; fingers, mouths and small features are smeared. They sway a little, "
    "flicker near the middle of the loop, and seldom move as the emoji does. Another seed changes "
    "shapes and colours, now and then into a similar thing. Of what no emoji shows the colour "
    "comes out, seldom the thing. video-diffusion-emoji moves far better, tens of times slower.",
    data=f"{ABOUT}, with names from emojibase; and by way of its parts stills of seven emoji sets "
    "(Noto, Noto v1 and FxEmojis; Fluent flat, in colour and 3D; Twemoji, copyright Twitter, Inc "
    "and other contributors). One moving emoji in ten was never seen to move.",
    data_licence=f"{LICENCE} (Fluent, emojibase), Apache-2.0 (Noto, Noto v1, FxEmojis), CC-BY-4.0 "
    "(Twemoji)",
    licence="CC-BY-4.0",
)

RECIPE = Recipe(
    id="video-emoji",
    data=latents_with_texts,
    learner=lambda card, device: VideoGANLearner(card, JUDGE, SETTINGS, device),
    card=CARD,
    settings={"judge": dict(JUDGE), **asdict(SETTINGS)},
    steps=STEPS,
    batch=16,
    picture=(64, 3),
    finish=with_requirements,
)
