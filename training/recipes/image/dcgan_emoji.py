"""dcgan-emoji: faces and hearts, 64x64 in colour, from the pictures of seven emoji sets."""

from dataclasses import asdict
from typing import Any

from pydantic import JsonValue
from torch import Tensor

from models.checkpoint.header import Header
from training.data.images.emoji import load_faces
from training.directions.face_attributes import fit_face_attributes, measure_face_attributes
from training.learners.gan import GANLearner, GANSettings
from training.metrics.image.patches import measure_patches
from training.recipe import Data, Recipe

JUDGE: dict[str, Any] = {"kind": "dcgan", "width": 48}
STEPS = 10_500
SETTINGS = GANSettings(steps=STEPS, r1=1.0, augment=True, mirror=True, cool=4_500 / STEPS)

CARD = Header(
    family="gan",
    net={"kind": "dcgan", "latent": 100, "width": 48, "channels": 3, "size": 64},
    title="Emoji faces (DCGAN)",
    description="The textbook's DCGAN: faces, cats, monkeys, costumes and hearts as emoji, 64x64 "
    "in colour.",
    limitations="It is a textbook example, and no product. Round faces and hearts come out best. "
    "Teeth, tears, hats, hands and glasses are often smeared; about one picture in six is a blot "
    "of colour or a mixture of a heart and a face. What is drawn can't be chosen, only made "
    "happier or redder. No text, flags, whole animals or objects; 64x64 only. t2i-emoji paints "
    "emoji that can be chosen, and better.",
    data="Group smileys-emotion, but for its bubbles and bursts, of seven emoji sets: Noto, "
    "Noto v1 and FxEmojis; Fluent flat, in colour and 3D; Twemoji (copyright Twitter, Inc and "
    "other contributors). One caption in ten was held out.",
    data_licence="Apache-2.0 (Noto, Noto v1, FxEmojis), MIT (Fluent), CC-BY-4.0 (Twemoji)",
    licence="CC-BY-4.0",
)


def measure(card: Header, weights: dict[str, Tensor], data: Data) -> dict[str, JsonValue]:
    attributes = measure_face_attributes(card, weights, data)
    return measure_patches(card, weights, data) | attributes


RECIPE = Recipe(
    id="dcgan-emoji",
    data=load_faces,
    learner=lambda card, device: GANLearner(card, JUDGE, SETTINGS, device),
    finish=fit_face_attributes,
    measure=measure,
    card=CARD,
    settings={"judge": dict(JUDGE), **asdict(SETTINGS)},
    steps=STEPS,
    batch=32,
)
