"""ddpm-fashion: garments by kind, 32x32 in grey, by diffusion."""

from dataclasses import asdict
from typing import Any

from models.checkpoint.header import Header
from training.data.images.fashion import LABELS, load_fashion
from training.learners.diffusion import DiffusionObjective, DiffusionSettings
from training.learners.standard import StandardLearner
from training.recipe import Recipe

NET: dict[str, Any] = {
    "size": 32,
    "channels": 1,
    "patch": 2,
    "widths": [64, 128],
    "blocks": 1,
    "attention": [8],
    "classes": 10,
}
PROCESS: dict[str, Any] = {
    "schedule": "cosine",
    "steps": 1000,
    "prediction": "v",
    "clip": True,
    "guidance": 2.0,
}
STEPS = 10_000
SETTINGS = DiffusionSettings(steps=STEPS, even=0.5)

CARD = Header(
    family="diffusion",
    net=dict(NET),
    process=dict(PROCESS),
    title="Fashion (DDPM)",
    description="Garments, shoes and bags by kind, in grey on black, 32x32.",
    limitations="Prints and patterns on cloth are blotches, sandals are now and then short of a "
    "strap, and shirts, pullovers and coats look much alike, as they do in the data. Grey, 32x32, "
    "ten kinds only.",
    defaults={"sampler": "dpmpp_2m", "steps": 20},
    labels=list(LABELS),
    data="Fashion-MNIST: 60,000 training pictures of ten kinds (Xiao, Rasul and Vollgraf 2017).",
    data_licence="MIT (copyright 2017 Zalando SE)",
    licence="MIT",
)

RECIPE = Recipe(
    id="ddpm-fashion",
    data=load_fashion,
    learner=lambda card, device: StandardLearner(DiffusionObjective(card, SETTINGS, device)),
    card=CARD,
    settings=asdict(SETTINGS),
    steps=STEPS,
    batch=64,
)
