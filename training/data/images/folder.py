"""A folder of the user's own pictures, of any sizes and modes, as a data set.

A picture is a file with one of SUFFIXES, in the folder or anywhere below it. Its label comes
from `labels.csv`, else from its folder, as in torchvision's ImageFolder. Which pictures are
held out follows from their names alone, so that a new one moves no other.
"""

import csv
import hashlib
import logging
from collections.abc import Iterable, Set
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from training.data.cache import DataMissing
from training.data.images.emoji import held_out
from training.data.images.squares import SUFFIXES, read_square
from training.recipe import Data

log = logging.getLogger("atelier.training")

FEWEST = 8  # pictures that can be learnt from, one of them held out
MOST_BYTES = 4 * 2**30  # of all pictures together, in memory
LABELS = "labels.csv"
HEADER = ["file", "label"]


def load_folder(folder: Path, size: int, channels: int) -> Data:
    """Columns: pictures (N, channels, size, size) uint8 and, where there are any, labels (N,).

    One picture in ten is the test part, at least one. Raises DataMissing with the file at fault
    for anything that can't be read, for too few pictures and for more than memory should hold.
    """
    files = find_pictures(folder)
    labels = read_labels(folder, files)
    needed = len(files) * channels * size * size
    if needed > MOST_BYTES:
        raise DataMissing(
            f"{len(files)} pictures of {size}x{size} take {needed / 2**30:.1f} GiB of memory; "
            f"at most {MOST_BYTES // 2**30} are used"
        )
    pictures = np.empty((len(files), channels, size, size), np.uint8)
    for row, name in zip(pictures, followed(files), strict=True):
        row[:] = read_square(folder / name, name, size, channels)
    names = sorted(set(labels))
    columns = [torch.from_numpy(pictures)]
    if labels:
        columns.append(torch.tensor([names.index(label) for label in labels]))
    test_rows = torch.tensor(held_out_files(files))
    train, test = (tuple(column[rows] for column in columns) for rows in (~test_rows, test_rows))
    return Data(train, test, tuple(names))


def find_pictures(folder: Path) -> list[str]:
    """Names relative to the folder, in order. Raises DataMissing if there is no such folder, or too
    little in it."""
    files = files_of(folder, SUFFIXES, "pictures", LABELS)
    if len(files) < FEWEST:
        many = f"{len(files)} picture{'' if len(files) == 1 else 's'}" if files else "no pictures"
        kinds = ", ".join(sorted(SUFFIXES))
        raise DataMissing(f"{folder} holds {many} ({kinds}); at least {FEWEST} are needed")
    return files


def files_of(folder: Path, suffixes: Set[str], what: str, besides: str = "") -> list[str]:
    """Names relative to the folder, in order, of the files with one of these suffixes, anywhere
    below it. Hidden ones are not seen; which others, but for `besides`, are passed over as being no
    `what` is logged. Raises DataMissing if there is no such folder."""
    if not folder.is_dir():
        raise DataMissing(f"{folder} is {'a file' if folder.exists() else 'not there'}: no folder")
    names = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]
    seen = sorted(
        n for n in names if not any(component.startswith(".") for component in n.split("/"))
    )
    files = [name for name in seen if PurePosixPath(name).suffix.lower() in suffixes]
    others = [name for name in seen if name not in {*files, besides}]
    if others:
        few = ", ".join(others[:3]) + (" and others" if len(others) > 3 else "")
        log.warning("passed over, being no %s by their names: %s", what, few)
    return files


def read_labels(folder: Path, files: list[str]) -> list[str]:
    """The label of each file, or nothing where there are none.

    From `labels.csv`, else the topmost folder below this one, if every picture lies in such a
    folder and there are at least two.
    """
    if (folder / LABELS).is_file():
        labels = _read_table(folder / LABELS, set(files))
        for name in files:
            if name not in labels:
                raise DataMissing(f"{LABELS} has no label for {name}")
        return [labels[name] for name in files]
    tops = [name.split("/")[0] if "/" in name else "" for name in files]
    return tops if all(tops) and len(set(tops)) > 1 else []


def held_out_files(names: list[str]) -> list[bool]:
    """Which are held out: by their hash, about one in ten; at least one, and never all."""
    flags = [held_out(name) for name in names]
    if all(flags) or not any(flags):
        hashes = [hashlib.sha256(name.encode()).digest() for name in names]
        first = hashes.index(min(hashes))
        flags[first] = not flags[first]
    return flags


def followed(names: list[str]) -> Iterable[str]:
    """With a bar, where there are many and somebody looks."""
    console = Console(stderr=True)
    hidden = len(names) < 200 or not console.is_terminal
    return track(names, "reading pictures", console=console, disable=hidden)


def _read_table(path: Path, known: set[str]) -> dict[str, str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, strict=True)
            rows = [(lines.line_num, [cell.strip() for cell in row]) for row in lines if row]
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataMissing(f"{LABELS} can't be read: {error}") from None
    if not rows or rows[0][1] != HEADER:
        raise DataMissing(f"{LABELS} must begin with the line {','.join(HEADER)}")
    labels: dict[str, str] = {}
    for line, cells in rows[1:]:
        where = f"line {line} of {LABELS}"
        if len(cells) != 2:
            raise DataMissing(f"{where} has {len(cells)} cells, not a file and its label")
        name, label = PurePosixPath(cells[0]).as_posix(), cells[1]
        if name not in known:
            raise DataMissing(f"{where} names {cells[0]!r}, and there is no such picture")
        if name in labels:
            raise DataMissing(f"{where} names {name} for the second time")
        if not label:
            raise DataMissing(f"{where} has no label for {name}")
        labels[name] = label
    return labels
