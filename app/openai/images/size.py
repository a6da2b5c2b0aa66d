"""OpenAI's `size`, WIDTHxHEIGHT or `auto`, as params of a model.

1. A model whose params have width and height takes what they take.
2. Any other makes pictures of one size, and of a multiple where it has an upscaler; only those
   sizes are taken.
3. With `ATELIER_SIZES=nearest`, any other size is taken too. The model makes the nearest that it
   can, and `output_size` has the result resized. Nearest is of the most alike proportions; among
   those the smallest that need not be enlarged, or the largest.
4. A size that can't be made is refused with 400, as OpenAI does, whichever field said so.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from app.catalog.catalog import CatalogEntry
from app.core.errors import InvalidRequest
from models.params.conflicts import Conflict, explicitly, one_of, other_than
from models.params.fields import LONGEST_SIDE, SHORTEST_SIDE

AUTO = "auto"
FREE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")
SIDES = ("width", "height")
OUTPUT = "output_size"
Sizes = Literal["exact", "nearest"]
Size = tuple[int, int]  # width and height


def size_params(
    size: str | None, fields: Mapping[str, Any], entry: CatalogEntry, sizes: Sizes
) -> dict[str, int | str]:
    """What a size adds to the params of a request. Raises InvalidRequest of `size` where the model
    can't make it, or they say another."""
    if size is None or size == AUTO:
        return {}
    if sizes == "nearest":
        params = _nearest(size, entry)
    else:
        params = _sides(size, entry) if _is_free(entry) else _factor(size, entry)
    for name, value in params.items():
        if fields.get(name, value) != value:
            raise _refused(f"size {size} and {name} don't go together")
    return params


def refused_as_size(error: InvalidRequest, size: str | None) -> InvalidRequest:
    """The same error, or of `size` where a side that it told is what was refused."""
    if size in (None, AUTO) or error.param not in (*SIDES, OUTPUT):
        return error
    return _refused(f"size {size} can't be made: {error.message}")


def size_schema(entry: CatalogEntry, sizes: Sizes) -> dict[str, Any]:
    """What JSON schema says of the sizes of a model."""
    if sizes == "nearest" or _is_free(entry):
        return {"pattern": f"^({AUTO}|{FREE.pattern})$"}
    return {"enum": [*_factors(entry), AUTO, None]}


def size_conflicts(entry: CatalogEntry) -> Iterator[Conflict]:
    """The params that don't go together with a size."""
    if _is_free(entry):
        for side in SIDES:
            yield {"size": other_than(AUTO, None), side: explicitly()}
    elif "upscale" in entry.schema["properties"]:
        for size, factor in _factors(entry).items():
            others = [x for x in _factors(entry).values() if x != factor]
            yield {"size": one_of(size), "upscale": explicitly(*others)}


def nearest_of(wanted: Size, sizes: Iterable[Size]) -> Size:
    """The size of these that comes nearest, as rule 3 says."""

    def distance(size: Size) -> tuple[float, bool, int]:
        proportions = (size[0] * wanted[1]) / (size[1] * wanted[0])
        smaller = size[0] < wanted[0] or size[1] < wanted[1]
        pixels = size[0] * size[1]
        return round(abs(math.log(proportions)), 6), smaller, -pixels if smaller else pixels

    return min(sizes, key=distance)


def _nearest(size: str, entry: CatalogEntry) -> dict[str, int | str]:
    wanted = _parsed(size, entry)
    if _is_free(entry):
        own = _nearest_sides(wanted, entry)
        params: dict[str, int | str] = dict(zip(SIDES, own, strict=True))
    else:
        known = _factors(entry)
        own = nearest_of(wanted, [_read(name) for name in known]) if known else (0, 0)
        takes_factor = known and "upscale" in entry.schema["properties"]
        params = {"upscale": known[f"{own[0]}x{own[1]}"]} if takes_factor else {}
    if own == wanted:
        return params
    if not all(SHORTEST_SIDE <= side <= LONGEST_SIDE for side in wanted):
        limits = f"between {SHORTEST_SIDE} and {LONGEST_SIDE} pixels"
        raise _refused(f"size {size} can't be made: a side must be {limits}")
    return {**params, OUTPUT: size}


def _nearest_sides(wanted: Size, entry: CatalogEntry) -> Size:
    """The sides that a model takes: scaled together into its bounds, then rounded up to what it
    takes."""
    limits = [_limits(entry.schema["properties"][side]) for side in SIDES]
    scale = min(1.0, *(most / side for side, (_, most, _) in zip(wanted, limits, strict=True)))
    scale = max(scale, *(least / side for side, (least, _, _) in zip(wanted, limits, strict=True)))
    width, height = (
        _multiple(side * scale, *limit) for side, limit in zip(wanted, limits, strict=True)
    )
    return width, height


def _multiple(side: float, least: int, most: int, step: int) -> int:
    """The next multiple of a step that is not smaller, within bounds."""
    steps = math.ceil(round(side / step, 6))
    return min(max(steps, math.ceil(least / step)), most // step) * step


def _limits(schema: Mapping[str, Any]) -> tuple[int, int, int]:
    """The least and the most of a side, and what it must be a multiple of."""
    whole = next(x for x in (schema, *schema.get("anyOf", ())) if x.get("type") == "integer")
    return int(whole["minimum"]), int(whole["maximum"]), int(whole.get("multipleOf", 1))


def _is_free(entry: CatalogEntry) -> bool:
    return set(SIDES) <= set(entry.schema["properties"])


def _parsed(size: str, entry: CatalogEntry) -> Size:
    match = FREE.fullmatch(size)
    if match is None:
        raise _refused(f"size must be WIDTHxHEIGHT, in pixels, or {AUTO} for {entry.id}")
    return int(match[1]), int(match[2])


def _sides(size: str, entry: CatalogEntry) -> dict[str, int | str]:
    return dict(zip(SIDES, _parsed(size, entry), strict=True))


def _factor(size: str, entry: CatalogEntry) -> dict[str, int | str]:
    known = _factors(entry)
    if size not in known:
        *most, last = [*known, AUTO]
        listed = f"{', '.join(most)} or {last}" if most else last
        raise _refused(f"size must be {listed} for {entry.id}")
    return {"upscale": known[size]} if "upscale" in entry.schema["properties"] else {}


def _factors(entry: CatalogEntry) -> dict[str, int]:
    """The sizes of a model that has no choice, and how many times its net's own each is."""
    side = entry.facts.side
    if side is None:
        return {}
    factors = entry.schema["properties"].get("upscale", {}).get("enum", [1])
    return {f"{side * f}x{side * f}": f for f in factors}


def _read(size: str) -> Size:
    width, _, height = size.partition("x")
    return int(width), int(height)


def _refused(message: str) -> InvalidRequest:
    return InvalidRequest(message, param="size")
