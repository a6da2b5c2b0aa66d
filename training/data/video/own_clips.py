"""A folder of the user's own videos as clips: captioned by `captions.csv`, else by their names.

Which are held out follows from their names alone. What was decoded lies in the cache by the
folder's name and what is in it, so a changed folder is another.
"""

import csv
from pathlib import Path, PurePosixPath

from training.data.cache import DataMissing, cache_folder, fingerprint
from training.data.images.folder import files_of
from training.data.video.build import ClipName, write_shards
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
    tables = [CAPTIONS] if (folder / CAPTIONS).is_file() else []
    state = fingerprint(folder, [*files, *tables], f"{DECODING}\n")  # the decoder's edition, too
    pace = "" if rate is None else f"-{rate:g}"
    built = cache_folder() / f"clips-{folder.resolve().name}-{state}-{frames}x{size}{pace}"
    names = [ClipName(file, file, captions[file], "", "", "") for file in files]
    write_shards(
        built, names, lambda n: read_clip(folder / n.hexcode, n.hexcode, frames, size, rate)
    )
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
    captions: dict[str, str] = {}
    for row in rows[1:]:
        if len(row) != 2 or not row[1].strip():
            raise DataMissing(f"{CAPTIONS} has no caption for {row[0]}")
        name = PurePosixPath(row[0].strip()).as_posix()
        if name not in files:
            raise DataMissing(f"{CAPTIONS} names {name!r}, and there is no such video")
        captions[name] = row[1].strip()
    for name in files:
        if name not in captions:
            raise DataMissing(f"{CAPTIONS} has no caption for {name}")
    return captions


def _said(name: str) -> str:
    names = PurePosixPath(name).stem.replace("_", " ").replace("-", " ").split()
    return " ".join(word for word in names if not word.isdigit()) or PurePosixPath(name).stem
