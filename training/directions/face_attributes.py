"""The attributes of `dcgan-emoji`: happy and red, as walks through its latent space."""

from dataclasses import dataclass
from typing import Any

import torch
from pydantic import JsonValue
from torch import Tensor

from models.checkpoint.header import SUFFIX, Header
from models.checkpoint.weights import Checkpoint, load
from models.image.directions import DIRECTIONS, at_length_of
from models.nets.clip import see
from models.nets.gan import generator_of
from training.components import checkpoints_folder, load_component
from training.data.images.emoji import FACE_KINDS
from training.directions.linear_probe import LinearProbe
from training.directions.linear_walk import LinearWalks, Score, View, WalkSettings, view_of
from training.learners.attributes import CHANGE
from training.metrics.image.clip_retrieval import embed_images
from training.pretrained import FrozenTextTower
from training.publish import JUDGES
from training.recipe import Data, TrainedWeights

SHARPNESS = 8.0  # makes logits of a probe's answers, which are near 0 and 1
INK = 0.92  # what is darker than this in some channel is no background
SIDE = 64
"""Of the pictures that both CLIPs see."""
JUDGED = 200
"""Draws that the judge sees each attribute change."""


def redness(view: View) -> Tensor:
    """Red above the mean of green and blue, of what is drawn, (N,)."""
    red, green, blue = _mean_colour(view.pictures).unbind(1)
    return red - (green + blue) / 2


def _mean_colour(pictures: Tensor) -> Tensor:
    """(N, 3, H, W) on white -> (N, 3), the mean of all that is not white."""
    ink = torch.sigmoid(80 * (INK - pictures.amin(1, keepdim=True)))
    return (pictures * ink).sum((2, 3)) / ink.sum((2, 3)).clamp_min(1)


@dataclass(frozen=True, slots=True)
class FaceProbes:
    """What a CLIP sees of emoji faces: their kind, and whether they are happy."""

    net: Any
    kind: LinearProbe
    mood: LinearProbe

    @classmethod
    def of(cls, clip: Checkpoint, data: Data) -> "FaceProbes":
        """Fits both to pictures, kinds and moods as `load_faces` has them."""
        tower = FrozenTextTower.of(clip, torch.device("cpu"))
        pictures, kind, mood = data.train
        vectors, said = embed_images(tower, pictures), mood != 0
        return cls(
            tower.net,
            LinearProbe.of_kinds(vectors, kind, len(FACE_KINDS)),
            LinearProbe.fitted(vectors[said], mood[said, None].float()),
        )

    def kinds(self, view: View) -> Tensor:
        return SHARPNESS * self.kind(view.vectors)

    def happiness(self, view: View) -> Tensor:
        return self.mood(view.vectors)[:, 0]

    @property
    def scores(self) -> dict[str, Score]:
        return {"happy": self.happiness, "red": redness}

    def view(self, pictures: Tensor) -> View:
        return View(pictures, see(self.net, 2 * pictures - 1))


def has_kinds(data: Data) -> bool:
    """Whether these are faces as `load_faces` has them, as large as a CLIP sees them."""
    return data.labels == FACE_KINDS and data.train[0].shape[1:] == (3, SIDE, SIDE)


def fit_face_attributes(
    card: Header,
    weights: dict[str, Tensor],
    data: Data,
    settings: WalkSettings = WalkSettings(),  # noqa: B008 - it is frozen
) -> TrainedWeights:
    """Adds a direction for each attribute, as `clip-emoji` sees it; for other pictures none."""
    if not has_kinds(data):
        return TrainedWeights(card, weights)
    probes = FaceProbes.of(load_component("clip-emoji"), data)
    net = _generator(card, weights)
    walks = LinearWalks(
        lambda z: probes.view((net(z, None) + 1) / 2), probes.kinds, int(net.latent), settings
    )
    directions = {name: walks.direction(score) for name, score in probes.scores.items()}
    whole = {**weights, DIRECTIONS: torch.stack(list(directions.values()))}
    return TrainedWeights(card.model_copy(update={"attributes": list(directions)}), whole)


def measure_face_attributes(
    card: Header, weights: dict[str, Tensor], data: Data
) -> dict[str, JsonValue]:
    """How a change of 2 either way moves what `clip-judge` sees in 200 draws, and keeps the kind.

    No walk has seen these draws, nor this CLIP.
    """
    if not card.attributes:
        return {}
    judge = load(checkpoints_folder() / JUDGES / f"clip-judge{SUFFIX}")
    probes, net = FaceProbes.of(judge, data), _generator(card, weights)
    z = torch.randn(JUDGED, net.latent, generator=torch.Generator().manual_seed(1))

    def seen(z: Tensor) -> View:
        return view_of(lambda rows: probes.view((net(rows, None) + 1) / 2), z)

    before, figures = seen(z), dict[str, dict[str, JsonValue]]()
    kind = probes.kinds(before).argmax(1)
    for name, direction in zip(card.attributes, weights[DIRECTIONS].float(), strict=True):
        score = probes.scores[name]
        for sign in (1, -1):
            way = f"{sign * CHANGE:+g}"
            after = seen(at_length_of(z, z + sign * CHANGE * direction))
            moved = sign * (score(after) - score(before)) > 0
            kept = probes.kinds(after).argmax(1) == kind
            figures.setdefault(f"attribute moved at {way}", {})[name] = round(_share(moved), 3)
            figures.setdefault(f"attribute kind kept at {way}", {})[name] = round(_share(kept), 3)
    return dict(figures)


def _share(of: Tensor) -> float:
    return float(of.double().mean())


def _generator(card: Header, weights: dict[str, Tensor]) -> Any:
    """The generator of a card, in single precision, frozen."""
    config: dict[str, Any] = dict(card.net)
    net = generator_of(**config)
    net.load_state_dict({k: w.float() for k, w in weights.items() if k != DIRECTIONS})
    return net.eval().requires_grad_(False).to(memory_format=torch.channels_last)
