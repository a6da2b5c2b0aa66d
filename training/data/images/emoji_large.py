"""Emoji at 256 pixels a side, each beside the 64 that the captioned set has of it: pairs to learn
enlarging from. The art is vector, so they are free; Fluent 3D's bitmaps have 256 pixels as well."""

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track

from training.data.cache import cache_folder, save_arrays
from training.data.images.emoji import held_out
from training.data.images.emoji_build import (
    BITMAP_LICENCE,
    BITMAP_VENDOR,
    BITMAPS,
    NAMES,
    SVG_SETS,
    Name,
    SvgSet,
    draw_bitmap,
    draw_svg,
    icons_by_hexcode,
    on_white,
    plain_hexcode,
    read_json,
    read_names,
    unpack,
)
from training.recipe import Data

LARGE = 256
PER_SET = 350
"""Pictures of each of the seven sets: all 10,000 would take 2 GB of memory."""

Picture = NDArray[np.uint8]
Art = tuple[Name, Callable[[], tuple[Picture, Picture]]]
"""What an emoji shows, and how it is drawn: (3, 64, 64) and (3, 256, 256), on white."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One vendor's pictures of one emoji."""

    name: Name
    vendor: str
    licence: str
    small: Picture
    large: Picture


def load_pairs() -> Data:
    """Columns: the large pictures and the small ones. From the cache; drawn first if it is not
    there, which takes a few minutes. The test part is that of the captions held out."""
    path = cache_folder() / "emoji256.npz"
    if not path.exists():
        write(path, list(drawn()))
    with np.load(path, allow_pickle=False) as table:
        columns = [torch.from_numpy(table[name]) for name in ("large", "small")]
        apart = torch.tensor([held_out(str(caption)) for caption in table["caption"]])
    return Data(tuple(c[~apart] for c in columns), tuple(c[apart] for c in columns))


def drawn() -> Iterator[Pair]:
    """As many of every set, from npm packages that are fetched if need be."""
    names = read_names(unpack(NAMES))
    sets = [(svgs.vendor, svgs.licence, vectors(svgs, names)) for svgs in SVG_SETS]
    sets.append((BITMAP_VENDOR, BITMAP_LICENCE, bitmaps(names)))
    for vendor, licence, art in sets:
        for name, draw in track(chosen(vendor, art), f"drawing {vendor} large"):
            yield Pair(name, vendor, licence, *draw())


def chosen(vendor: str, art: list[Art]) -> list[Art]:
    """`PER_SET` of a set's, by a hash: whatever order it comes in, and whatever else it has."""

    def order(piece: Art) -> bytes:
        return hashlib.sha256(f"{vendor} {piece[0].hexcode}".encode()).digest()

    return sorted(art, key=order)[:PER_SET]


def vectors(svgs: SvgSet, names: list[Name]) -> list[Art]:
    icons, chars = unpack(svgs.package) / "icons.json", unpack(svgs.chars) / "chars.json"
    art = icons_by_hexcode(read_json(icons), read_json(chars), names)
    return [(name, partial(_of_vector, art[name.hexcode])) for name in names if name.hexcode in art]


def bitmaps(names: list[Name]) -> list[Art]:
    files = {plain_hexcode(p.stem): p for p in (unpack(BITMAPS) / "assets").glob("*.webp")}
    return [
        (name, partial(_of_bitmap, files[name.hexcode])) for name in names if name.hexcode in files
    ]


def write(path: Path, pairs: list[Pair]) -> None:
    table = {
        "large": np.stack([pair.large for pair in pairs]),
        "small": np.stack([pair.small for pair in pairs]),
        "hexcode": np.array([pair.name.hexcode for pair in pairs]),
        "caption": np.array([pair.name.caption for pair in pairs]),
        "vendor": np.array([pair.vendor for pair in pairs]),
        "license": np.array([pair.licence for pair in pairs]),
    }
    save_arrays(path, table)


def _of_vector(document: str) -> tuple[Picture, Picture]:
    import resvg_py

    png = resvg_py.svg_to_bytes(
        svg_string=document, width=LARGE, height=LARGE, background="white", skip_system_fonts=True
    )
    return draw_svg(document), on_white(Image.open(io.BytesIO(bytes(png))), LARGE)


def _of_bitmap(file: Path) -> tuple[Picture, Picture]:
    return draw_bitmap(file), on_white(Image.open(file), LARGE)
