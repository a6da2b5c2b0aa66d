"""Measures a video model by pictures that are set in motion, without any clips to compare with.

It says how far the first frame is from the picture, and how well the clip loops.
"""

from collections.abc import Sequence

import torch
from pydantic import JsonValue
from torch import Tensor

from models.artifacts import Image, Video
from models.engine.noise import seeded
from models.families import FAMILIES
from training.data.images.emoji import load_emoji
from training.evaluation.evaluator import (
    Evaluation,
    EvaluationRefused,
    Figures,
    Task,
    once,
    requests_of,
)
from training.generate import generate_items
from training.metrics.video.motion import loop_seam, motion_energy

STILLS = "pictures"
"""The reference that asks for this evaluation."""
NAMES = ("grinning face", "winking face", "waving hand", "ghost", "dog", "rocket", "star", "panda")
VENDOR = "fluent-3d"  # the set whose animations are learnt from
FRAMES = 16  # of the clips that stand beside
POSTED = "0" * 64  # a request names a file, whatever its hash


def evaluate_stills(task: Task) -> Evaluation:
    """Prepares an evaluation of `n` pictures a seed, each posted with its name as the prompt.

    A model that takes no `init_image` gets the names alone.
    """
    options, header = task.options, task.header
    if taken := sorted({"prompt", "init_image"} & options.params.keys()):
        raise EvaluationRefused(f"{taken[0]} is that of each picture")
    n = len(NAMES) if options.n is None else options.n
    if not 1 <= n <= len(NAMES):
        raise EvaluationRefused(f"1 to {len(NAMES)} pictures are set in motion, not {n}")
    family = FAMILIES[header.family]
    posts = "init_image" in family.params.model_fields.keys() - family.lacks(header)
    stills = pictures_named(NAMES[:n])  # (n, 3, H, W)
    posted: dict[str, JsonValue] = {"init_image": POSTED} if posts else {}
    requests = requests_of(header, options.params, [{"prompt": x} | posted for x in NAMES[:n]])
    inputs = [{"init_image": Image(still.float() / 255)} for still in stills] if posts else []

    def measure(seed: int) -> Figures:
        videos = generate_items(task.model, requests, seed, task.device, Video, inputs)
        pixels = torch.stack([video.pixels for video in videos])
        clips = pixels.clamp(0, 1).mul(255).round().byte().cpu()
        return clip_figures(clips, stills if posts else None)

    def noise(seed: int) -> Figures:
        shape = (n, FRAMES, *stills.shape[1:])
        clips = torch.randint(0, 256, shape, generator=seeded(seed), dtype=torch.uint8)
        return clip_figures(clips, stills)

    standing = stills[:, None].expand(-1, FRAMES, -1, -1, -1)
    about: dict[str, JsonValue] = {
        "n": n,
        "reference": STILLS,
        "held_out": n,
        "features": "first frames",
    }
    return Evaluation(
        about, measure, real=once(lambda: clip_figures(standing, stills)), noise=noise
    )


def pictures_named(names: Sequence[str]) -> Tensor:
    """Returns the picture of each emoji, (N, 3, 64, 64) uint8. Raises DataMissing."""
    emoji = load_emoji()
    rows = []
    for name in names:
        own = ((emoji.caption == name) & (emoji.vendor == VENDOR)).nonzero()[0]
        if not len(own):
            raise EvaluationRefused(f"{VENDOR} has no {name}")
        rows.append(int(own[0]))
    return torch.from_numpy(emoji.images[rows])


def clip_figures(clips: Tensor, stills: Tensor | None) -> Figures:
    """Figures of uint8 clips (N, F, C, H, W): `first_frame` is the root mean square difference of
    the first frame from the picture (N, C, H, W), of 255, as a mean over clips."""
    figures = {
        "seam": float(loop_seam(clips).median()),
        "motion": float(motion_energy(clips).mean()),
    }
    if stills is not None:
        apart = (clips[:, 0].double() - stills.double()).square().flatten(1).mean(1).sqrt()
        figures["first_frame"] = float(apart.mean())
    return figures
