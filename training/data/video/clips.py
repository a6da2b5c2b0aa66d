"""The captioned clips: which a model learns from, and which of them it never sees."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.cache import DataMissing, cache_folder
from training.data.images.folder import held_out_files
from training.data.video.build import build_clips

FRAMES, SIZE = 16, 64
ABOUT = (
    "The animations of Microsoft's Fluent emoji, as the packages @lobehub/fluent-emoji-anim carry "
    "them: 16 frames evenly over each loop"
)
LICENCE = "MIT"


@dataclass(frozen=True)
class Clips:
    """Rows of equal index belong together."""

    clips: NDArray[np.uint8]  # (N, F, 3, size, size), on white
    hexcode: NDArray[np.str_]
    plain: NDArray[np.str_]  # of the same emoji without a skin tone
    caption: NDArray[np.str_]
    keywords: NDArray[np.str_]
    group: NDArray[np.str_]
    tone: NDArray[np.str_]

    @property
    def held_out(self) -> NDArray[np.bool_]:
        """Whether each is never learnt from: an emoji with all its skin tones, by a hash; one at
        least, and never all."""
        kin = sorted({str(code) for code in self.plain})
        test = dict(zip(kin, held_out_files(kin), strict=True))
        return np.array([test[str(code)] for code in self.plain])

    def rows(self, chosen: NDArray[Any]) -> "Clips":
        """Some of them: by their numbers, or by a mark on each."""
        return Clips(**{name: column[chosen] for name, column in vars(self).items()})


@lru_cache(1)
def load_clips(frames: int = FRAMES, size: int = SIZE) -> Clips:
    """From the cache; built first, or what is missing of them. Raises DataMissing."""
    return clips_in(build(frames, size))


def build(frames: int = FRAMES, size: int = SIZE) -> Path:
    """The folder of their shards in the cache, whole. Raises DataMissing."""
    folder = cache_folder() / f"clips-{frames}x{size}"
    if not (folder / "done").exists():
        build_clips(folder, frames, size)
        (folder / "done").touch()
    return folder


def summary(folder: Path) -> list[tuple[str, ...]]:
    """A table of what a folder of clips holds, with a line of heads."""
    clips = clips_in(folder)
    rows = [
        (group or "own", str(int(mine.sum())), str(int((mine & clips.held_out).sum())))
        for group in sorted({str(g) for g in clips.group})
        for mine in [clips.group == group]
    ]
    return [("group", "clips", "held out"), *rows]


def clips_in(folder: Path) -> Clips:
    """Of all shards in a folder. Raises DataMissing for a damaged one."""
    tables = []
    for path in sorted(folder.glob("[0-9]*.npz")):
        try:
            with np.load(path, allow_pickle=False) as table:
                tables.append({name: table[name] for name in Clips.__dataclass_fields__})
        except (OSError, ValueError, KeyError) as error:
            raise DataMissing(f"{path} is damaged, delete it: {error}") from None
    return Clips(**{name: np.concatenate([t[name] for t in tables]) for name in tables[0]})
