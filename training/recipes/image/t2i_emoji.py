"""t2i-emoji: words to emoji of 64x64 pixels, by diffusion in an autoencoder's latents.

It takes a quarter of an hour of a large GPU that others share, and a week of a processor core.
"""

from dataclasses import asdict
from typing import Any

import torch

from models.checkpoint.header import Header
from training.components import load_component, requirement_of
from training.data.images.captions import load_captioned, load_named, rows_of
from training.data.images.lexicon import STYLES
from training.data.music.compositions import compose
from training.learners.latent_diffusion import LatentDiffusionObjective, LatentDiffusionSettings
from training.learners.standard import StandardLearner
from training.pretrained import in_latents
from training.recipe import Data, Learner, Recipe, TrainedWeights

STEPS = 6_500
SETTINGS = LatentDiffusionSettings(steps=STEPS, rate=1e-3, warmup=400, decay=0.9995)
TINTED, PAIRED = 6_000, 6_000
"""Pictures in another colour, and of two things, beside 9,186 that the sets have."""
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
    "guess": 768,
}
PROCESS: dict[str, Any] = {
    "schedule": "cosine",
    "steps": 1000,
    "prediction": "v",
    "clip": False,
    "guidance": 3.0,
}
PROMPTS = (
    "red apple,dog face,grinning face,rocket,pizza,red heart,cat,car,tree,sun,birthday cake,fish,"
    "house,guitar,soccer ball,rainbow,skull,umbrella,crown,snowman,banana,airplane,key,book,"
    "purple apple,dog in a rocket,blue banana,cat with a hat,green heart,panda eating pizza,"
    "红苹果,狗"
)


def load() -> Data:
    own = load_captioned(split="picture")
    composed = compose(rows_of(STYLES, "picture")[0], TINTED, PAIRED)
    train = tuple(torch.cat(columns) for columns in zip(own.train, composed, strict=True))
    return in_latents(Data(train, own.test, own.labels))


def learner(card: Header, device: torch.device) -> Learner:
    return StandardLearner(LatentDiffusionObjective(card, PROMPTS.split(","), SETTINGS, device))


def with_requirements(card: Header, weights: dict[str, torch.Tensor], data: Data) -> TrainedWeights:
    """The configuration of the autoencoder, whose weights it holds; CLIP and the net that enlarges
    by their hashes."""
    net = {"unet": card.net["unet"], "autoencoder": load_component("autoencoder-emoji").header.net}
    requires = {role: requirement_of(f"{role}-emoji") for role in ("clip", "upscaler")}
    return TrainedWeights(card.model_copy(update={"net": net, "requires": requires}), weights)


CARD = Header(
    family="latent_diffusion",
    net={"unet": UNET},
    process=PROCESS,
    title="Emoji (text to image)",
    description="Paints emoji of 64x64 pixels from words, in English and Chinese, in the manner of "
    "seven sets.",
    limitations="It has seen emoji alone. What has a name among them is mostly recognised; eyes, "
    "letters and spokes are smeared. Of what no set has drawn the colour and the mood come out, "
    "and of two things in one picture seldom both, in Chinese less than in English.",
    defaults={"sampler": "dpmpp_2m", "steps": 20},
    labels=list(STYLES),
    data="Seven emoji sets: Noto, Noto v1 and FxEmojis; Fluent flat, in colour and 3D; Twemoji "
    "(copyright Twitter, Inc and other contributors), with names and keywords from emojibase in "
    "English and Chinese. One picture in ten was held out.",
    data_licence="Apache-2.0 (Noto, Noto v1, FxEmojis), MIT (Fluent, emojibase), CC-BY-4.0 "
    "(Twemoji)",
    licence="CC-BY-4.0",
)

RECIPE = Recipe(
    id="t2i-emoji",
    data=load,
    learner=learner,
    card=CARD,
    settings=asdict(SETTINGS),
    steps=STEPS,
    batch=256,
    finish=with_requirements,
    reference=load_named,
)
