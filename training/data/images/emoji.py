"""The captioned emoji: which pictures a recipe takes, and which of them it never sees."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from training.data.cache import cache_folder
from training.data.images.emoji_build import build
from training.recipe import Data

TEST_SHARE = 10
"""One caption in ten is held out, with the pictures of every vendor."""


@dataclass(frozen=True, slots=True)
class Emoji:
    """The whole built set; rows of equal index belong together."""

    images: NDArray[np.uint8]  # (N, 3, 64, 64), on white
    caption: NDArray[np.str_]
    keywords: NDArray[np.str_]
    group: NDArray[np.str_]
    subgroup: NDArray[np.str_]
    vendor: NDArray[np.str_]
    license: NDArray[np.str_]
    hexcode: NDArray[np.str_]


def load_emoji() -> Emoji:
    """From the cache; built first if it is not there, which takes some minutes."""
    path = cache_folder() / "emoji64.npz"
    if not path.exists():
        build(path)
    with np.load(path, allow_pickle=False) as table:
        return Emoji(**{name: table[name] for name in Emoji.__dataclass_fields__})


FACE_KINDS = ("face", "heart", "animal")
_KIND_OF = {"heart": "heart", "cat-face": "animal", "monkey-face": "animal"}
_HAPPY = {"face-smiling", "face-affection", "face-tongue"}
_UNHAPPY = {"face-concerned", "face-negative", "face-unwell"}


def load_faces() -> Data:
    """Smileys, cat and monkey faces, costumes and hearts, by every vendor: group smileys-emotion
    but for its bubbles, bursts and drops.

    Columns: pictures, kinds, and moods: 1 where the subgroup is a happy one, -1 where it is an
    unhappy one, else 0.
    """
    emoji = load_emoji()
    chosen = (emoji.group == "smileys-emotion") & (emoji.subgroup != "emotion")
    rows = np.flatnonzero(chosen)
    rows = rows[np.lexsort((emoji.hexcode[rows], emoji.vendor[rows]))]
    test = torch.tensor([held_out(str(caption)) for caption in emoji.caption[rows]])
    subgroups = list(map(str, emoji.subgroup[rows]))
    columns = (
        torch.from_numpy(emoji.images[rows]),
        torch.tensor([FACE_KINDS.index(_KIND_OF.get(name, "face")) for name in subgroups]),
        torch.tensor([(name in _HAPPY) - (name in _UNHAPPY) for name in subgroups]),
    )
    train, others = (tuple(c[which] for c in columns) for which in (~test, test))
    return Data(train, others, FACE_KINDS)


def held_out(caption: str) -> bool:
    """Whether a caption belongs to the test part, by its hash: whatever else is in the set."""
    return hashlib.sha256(caption.encode()).digest()[0] % TEST_SHARE == 0
