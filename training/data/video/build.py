"""Builds the captioned moving emoji from npm packages: clips of a few frames that loop.

Every frame is a square on white. Every emoji that moves is taken, and of those that differ from
another by a skin tone alone a part, which a hash chooses. Shards of some clips each lie in a folder
of the cache, so that a build that was broken off goes on.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL.WebPImagePlugin import WebPImageFile
from rich.console import Console
from rich.progress import Progress

from training.data.cache import DataMissing, save_arrays
from training.data.images.emoji_build import NAMES, on_white, plain_hexcode, read_json, unpack
from training.loop.log_lines import now_and_then

PACKAGES = tuple(f"@lobehub/fluent-emoji-anim-{number}@1.0.0" for number in range(1, 5))
TONES = 0.3
"""Part of the clips with a skin tone that is taken: they move as the plain ones do."""
SHARD = 128  # clips


@dataclass(frozen=True, slots=True)
class ClipName:
    """What emojibase says of a moving emoji; `plain` is the hexcode of the one without a tone."""

    hexcode: str
    plain: str
    caption: str
    keywords: str
    group: str
    tone: str  # such as "dark skin tone"; "" for none


def build_clips(folder: Path, frames: int, size: int) -> None:
    """Decode what is missing. Raises DataMissing with the file that can't be read."""
    names = clip_names(unpack(NAMES))
    files = moving_files([unpack(package) for package in PACKAGES])
    chosen = [names[code] for code in sorted(files) if code in names and taken(names[code])]
    write_shards(folder, chosen, lambda name: read_loop(files[name.hexcode], frames, size))


def write_shards(
    folder: Path, names: list[ClipName], read: Callable[[ClipName], NDArray[np.uint8]]
) -> None:
    """Writes the shards that are missing. A build that was broken off goes on."""
    folder.mkdir(parents=True, exist_ok=True)
    with showing(len(names)) as show:
        for number, start in enumerate(range(0, len(names), SHARD)):
            path, shard = folder / f"{number:03d}.npz", names[start : start + SHARD]
            if not path.exists():
                clips = []
                for name in shard:
                    clips.append(read(name))
                    show(start + len(clips))
                write_shard(path, shard, np.stack(clips))
            show(start + len(shard))


def taken(name: ClipName) -> bool:
    digest = hashlib.sha256(name.hexcode.encode()).digest()
    return not name.tone or digest[0] < TONES * 256


def clip_names(package: Path) -> dict[str, ClipName]:
    """By hexcode, of all emoji with a group, each with its skin tones."""
    groups = {g["order"]: g["key"] for g in read_json(package / "en/messages.json")["groups"]}
    named = {}
    for e in read_json(package / "en/data.json"):
        if "group" not in e or groups[e["group"]] == "component":
            continue
        plain = plain_hexcode(e["hexcode"])
        for one in (e, *e.get("skins", ())):
            code = plain_hexcode(one["hexcode"])
            tone = one["label"].removeprefix(e["label"]).strip(": ") if code != plain else ""
            named[code] = ClipName(
                code, plain, one["label"], ", ".join(e.get("tags", [])), groups[e["group"]], tone
            )
    return named


def moving_files(packages: list[Path]) -> dict[str, Path]:
    """The animations by hexcode; an emoji that stands still is none."""
    paths = {}
    for package in packages:
        for path in (package / "assets").glob("*.webp"):
            with WebPImageFile(path) as picture:
                if picture.n_frames > 1:
                    paths[plain_hexcode(path.stem)] = path
    return paths


def read_loop(path: Path, frames: int, size: int) -> NDArray[np.uint8]:
    """(frames, 3, size, size): evenly over a loop, whose end leads to its beginning."""
    try:
        with WebPImageFile(path) as picture:
            clip = []
            for i in range(frames):
                picture.seek(i * picture.n_frames // frames)
                clip.append(on_white(picture, size))
            return np.stack(clip)
    except (OSError, EOFError, SyntaxError) as error:
        raise DataMissing(f"{path.name} can't be read: {error}") from None


def write_shard(path: Path, names: list[ClipName], clips: NDArray[np.uint8]) -> None:
    rows = [asdict(name) for name in names]
    columns = {
        name: np.array([row[name] for row in rows]) for name in ClipName.__dataclass_fields__
    }
    save_arrays(path, {"clips": clips} | columns)


@contextmanager
def showing(clips: int) -> Iterator[Callable[[int], None]]:
    """How many are decoded: a bar in a terminal, else a line now and then."""
    console = Console(stderr=True)
    if not console.is_terminal:
        tell = now_and_then()
        yield lambda done: tell(f"decoded {done} of {clips} clips", done == clips)
        return
    with Progress(console=console) as progress:
        task = progress.add_task("decoding clips", total=clips)
        yield lambda done: progress.update(task, completed=done)
