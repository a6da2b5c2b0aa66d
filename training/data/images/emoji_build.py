"""Builds the captioned emoji set from npm packages: names from emojibase, art from six SVG sets
and one of bitmaps.

Every picture is 64x64 on white. Skin tones are left out, and so are regional indicators and the
loose parts that emojibase calls components.
"""

import io
import json
import re
import tarfile
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track

from training.data.cache import cache_folder, require_program, run_program, save_arrays

SIZE = 64
NAMES = "emojibase-data@17.0.0"
BITMAPS = "@lobehub/fluent-emoji-3d@1.1.0"
BITMAP_VENDOR, BITMAP_LICENCE = "fluent-3d", "MIT"


@dataclass(frozen=True, slots=True)
class SvgSet:
    """Art as SVG bodies by name; `chars` is the package whose table leads from code to name."""

    vendor: str
    package: str
    licence: str
    chars: str


SVG_SETS = (
    SvgSet("noto", "@iconify-json/noto@1.2.9", "Apache-2.0", "@iconify-json/noto@1.2.9"),
    SvgSet("noto-v1", "@iconify-json/noto-v1@1.2.5", "Apache-2.0", "@iconify-json/noto@1.2.9"),
    SvgSet("twemoji", "@iconify-json/twemoji@1.2.5", "CC-BY-4.0", "@iconify-json/twemoji@1.2.5"),
    SvgSet(
        "fluent-flat",
        "@iconify-json/fluent-emoji-flat@1.2.6",
        "MIT",
        "@iconify-json/fluent-emoji-flat@1.2.6",
    ),
    SvgSet(
        "fluent-color",
        "@iconify-json/fluent-emoji@1.2.7",
        "MIT",
        "@iconify-json/fluent-emoji-flat@1.2.6",
    ),
    SvgSet("fxemoji", "@iconify-json/fxemoji@1.2.2", "Apache-2.0", "@iconify-json/fxemoji@1.2.2"),
)


@dataclass(frozen=True, slots=True)
class Name:
    """What emojibase says of one emoji. `hexcode` is in small letters, without fe0f."""

    hexcode: str
    caption: str
    keywords: str
    group: str
    subgroup: str


@dataclass(frozen=True, slots=True)
class VendorEmoji:
    """One vendor's picture, (3, 64, 64), of one emoji."""

    name: Name
    vendor: str
    licence: str
    picture: NDArray[np.uint8]


def build(path: Path) -> None:
    """Fetch, render and write the whole set as an npz; some minutes on one core."""
    names = read_names(unpack(NAMES))
    rows: list[VendorEmoji] = []
    for svgs in SVG_SETS:
        art = icons_by_hexcode(
            read_json(unpack(svgs.package) / "icons.json"),
            read_json(unpack(svgs.chars) / "chars.json"),
            names,
        )
        for name in track([n for n in names if n.hexcode in art], f"drawing {svgs.vendor}"):
            rows.append(VendorEmoji(name, svgs.vendor, svgs.licence, draw_svg(art[name.hexcode])))
    rows += [
        VendorEmoji(name, BITMAP_VENDOR, BITMAP_LICENCE, draw_bitmap(file))
        for name, file in _bitmaps(names)
    ]
    _write(path, rows)


def unpack(package: str) -> Path:
    """The folder of an npm package, NAME@VERSION, fetched and unpacked once into the cache."""
    home = cache_folder() / "npm" / re.sub(r"[@/]+", "-", package).strip("-")
    if not (home / "package").exists():
        npm = require_program("npm", "to fetch the emoji packages; install Node.js")
        home.mkdir(parents=True, exist_ok=True)
        archive = run_program([npm, "pack", "--silent", package], home).split()[-1]
        with tarfile.open(home / archive) as tar:
            tar.extractall(home / "partial", filter="data")
        (home / "partial" / "package").rename(home / "package")
        (home / archive).unlink()
    return home / "package"


def read_names(package: Path) -> list[Name]:
    """Every emoji with a group other than "component", in emojibase's order."""
    messages = read_json(package / "en/messages.json")
    groups = {g["order"]: g["key"] for g in messages["groups"]}
    subgroups = {g["order"]: g["key"] for g in messages["subgroups"]}
    return [
        Name(
            plain_hexcode(e["hexcode"]),
            e["label"],
            ", ".join(e.get("tags", [])),
            groups[e["group"]],
            subgroups[e["subgroup"]],
        )
        for e in read_json(package / "en/data.json")
        if "group" in e and groups[e["group"]] != "component"
    ]


def plain_hexcode(code: str) -> str:
    """1F600-FE0F -> 1f600: small letters, without the sign that asks for a coloured picture."""
    return "-".join(point for point in code.lower().split("-") if point != "fe0f")


def plain_name(text: str) -> str:
    """Only its letters and digits, small and without accents: "piñata" -> "pinata"."""
    bare = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub("[^a-z0-9]", "", bare)


def icons_by_hexcode(icons: Any, chars: dict[str, str], names: list[Name]) -> dict[str, str]:
    """Whole SVG documents by hexcode; a name is found by its code point, else by its label."""
    documents = {name: _document(icon, icons) for name, icon in icons["icons"].items()}
    for name, alias in icons.get("aliases", {}).items():
        if alias["parent"] in documents:
            documents[name] = documents[alias["parent"]]
    by_code = {plain_hexcode(code): name for code, name in chars.items()}
    by_label = {plain_name(name): name for name in documents}
    documents_by_code = {}
    for emoji in names:
        name = by_code.get(emoji.hexcode, "")
        name = name if name in documents else by_label.get(plain_name(emoji.caption), "")
        if name:
            documents_by_code[emoji.hexcode] = documents[name]
    return documents_by_code


def draw_svg(document: str) -> NDArray[np.uint8]:
    """(3, 64, 64), on white."""
    import resvg_py

    png = resvg_py.svg_to_bytes(
        svg_string=document,
        width=2 * SIZE,
        height=2 * SIZE,
        background="white",
        skip_system_fonts=True,
    )
    return on_white(Image.open(io.BytesIO(bytes(png))), SIZE)


def draw_bitmap(path: Path) -> NDArray[np.uint8]:
    """(3, 64, 64), on white, from a larger picture."""
    return on_white(Image.open(path), SIZE)


def on_white(picture: Image.Image, side: int) -> NDArray[np.uint8]:
    """(3, side, side) of a picture of any size and mode."""
    coloured = picture.convert("RGBA")
    page = Image.new("RGBA", coloured.size, "white")
    page.alpha_composite(coloured)
    fitted = page.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
    return np.asarray(fitted).transpose(2, 0, 1)


def _document(icon: dict[str, Any], icons: dict[str, Any]) -> str:
    """An icon's own measures, else those of the whole set, around its body."""
    left, top, width, height = (
        icon.get(side, icons.get(side, default))
        for side, default in (("left", 0), ("top", 0), ("width", 16), ("height", 16))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{left} {top} {width} {height}" width="{SIZE}" height="{SIZE}">'
        f"{icon['body']}</svg>"
    )


def _bitmaps(names: list[Name]) -> Iterator[tuple[Name, Path]]:
    files = {plain_hexcode(p.stem): p for p in (unpack(BITMAPS) / "assets").glob("*.webp")}
    here = [name for name in names if name.hexcode in files]
    for name in track(here, f"drawing {BITMAP_VENDOR}"):
        yield name, files[name.hexcode]


def _write(path: Path, rows: list[VendorEmoji]) -> None:
    table = {
        "images": np.stack([row.picture for row in rows]),
        "hexcode": np.array([row.name.hexcode for row in rows]),
        "caption": np.array([row.name.caption for row in rows]),
        "keywords": np.array([row.name.keywords for row in rows]),
        "group": np.array([row.name.group for row in rows]),
        "subgroup": np.array([row.name.subgroup for row in rows]),
        "vendor": np.array([row.vendor for row in rows]),
        "license": np.array([row.licence for row in rows]),
    }
    save_arrays(path, table)


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
