"""A folder of the user's own videos as clips: captioned by `captions.csv`, else by their names.

Which are held out follows from their names alone. What was decoded lies in the cache by the
folder's name and what is in it, so a changed folder is another.
"""

import csv
import hashlib
from pathlib import Path, PurePosixPath

import numpy as np

from training.data.cache import DataMissing, cache_folder
from training.data.images.folder import files_of
from training.data.video.build import SHARD, ClipName, showing, write_shard
from training.data.video.decoding import SUFFIXES, read_clip

FEWEST = 8  # videos that can be learnt from, one of them held out
CAPTIONS = "captions.csv"
HEADER = ["file", "caption"]
DECODING = 2  # another number where the same file is decoded to another clip than before


def build_own_clips(folder: Path, frames: int, size: int, rate: float | None = None) -> Path:
    """Decode every video, and return the folder of shards. A build that was broken off goes on.

    Raises DataMissing with the file at fault and what is wrong with it.
    """
    files = files_of(folder, SUFFIXES, "videos", CAPTIONS)
    if len(files) < FEWEST:
        many = f"{len(files)} video{'' if len(files) == 1 else 's'}" if files else "no videos"
        kinds = ", ".join(sorted(SUFFIXES))
        raise DataMissing(f"{folder} holds {many} ({kinds}); at least {FEWEST} are needed")
    captions = read_captions(folder, files)
    print_of = _print_of(folder, files)
    pace = "" if rate is None else f"-{rate:g}"
    built = cache_folder() / f"clips-{folder.resolve().name}-{print_of}-{frames}x{size}{pace}"
    built.mkdir(exist_ok=True)
    with showing(len(files)) as show:
        for number, start in enumerate(range(0, len(files), SHARD)):
            path, shard = built / f"{number:03d}.npz", files[start : start + SHARD]
            if not path.exists():
                clips = []
                for name in shard:
                    clips.append(read_clip(folder / name, name, frames, size, rate))
                    show(start + len(clips))
                names = [ClipName(f, f, captions[f], "", "", "") for f in shard]
                write_shard(path, names, np.stack(clips))
            show(start + len(shard))
    (built / "done").touch()
    return built


def read_captions(folder: Path, files: list[str]) -> dict[str, str]:
    """By file: as the table says, else what a name says, `red_ball-2.mp4` being "red ball".

    Raises DataMissing for a table that lacks a file, or names one that is not there.
    """
    table = folder / CAPTIONS
    if not table.is_file():
        return {name: _said(name) for name in files}
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file, strict=True) if row]
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataMissing(f"{CAPTIONS} can't be read: {error}") from None
    if not rows or rows[0] != HEADER:
        raise DataMissing(f"{CAPTIONS} must begin with the line {','.join(HEADER)}")
    told: dict[str, str] = {}
    for row in rows[1:]:
        if len(row) != 2 or not row[1].strip():
            raise DataMissing(f"{CAPTIONS} has no caption for {row[0]}")
        name = PurePosixPath(row[0].strip()).as_posix()
        if name not in files:
            raise DataMissing(f"{CAPTIONS} names {name!r}, and there is no such video")
        told[name] = row[1].strip()
    for name in files:
        if name not in told:
            raise DataMissing(f"{CAPTIONS} has no caption for {name}")
    return told


def _said(name: str) -> str:
    words = PurePosixPath(name).stem.replace("_", " ").replace("-", " ").split()
    return " ".join(word for word in words if not word.isdigit()) or PurePosixPath(name).stem


def _print_of(folder: Path, names: list[str]) -> str:
    """Of names, sizes and times of change, of the captions, and of how videos are decoded."""
    named = [*names, CAPTIONS] if (folder / CAPTIONS).is_file() else names
    stats = [(name, (folder / name).stat()) for name in named]
    told = "\n".join(f"{name} {s.st_size} {s.st_mtime_ns}" for name, s in stats)
    return hashlib.sha256(f"{DECODING}\n{told}".encode()).hexdigest()[:8]
