"""OpenAI's `size`, WIDTHxHEIGHT or `auto`, as params of a model.

1. A model whose params have width and height takes what they take.
2. Any other makes pictures of one size, and of a multiple where it has an upscaler; only those
   sizes are taken.
3. A size that can't be made is refused with 400, as OpenAI does, whichever field said so.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from app.catalog.catalog import CatalogEntry
from app.core.errors import InvalidRequest
from models.params.conflicts import Conflict, explicitly, one_of, other_than

AUTO = "auto"
FREE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")
SIDES = ("width", "height")


def size_params(size: str | None, fields: Mapping[str, Any], entry: CatalogEntry) -> dict[str, int]:
    """What a size adds to the params that were given. Raises InvalidRequest of `size` where the
    model can't make it, or they say another."""
    if size is None or size == AUTO:
        return {}
    params = _sides(size, entry) if _is_free(entry) else _factor(size, entry)
    for name, value in params.items():
        if fields.get(name, value) != value:
            raise _refused(f"size {size} and {name} don't go together")
    return params


def refused_as_size(error: InvalidRequest, size: str | None) -> InvalidRequest:
    """The same error, or of `size` where a side that it told is what was refused."""
    if size in (None, AUTO) or error.param not in SIDES:
        return error
    return _refused(f"size {size} can't be made: {error.message}")


def size_schema(entry: CatalogEntry) -> dict[str, Any]:
    """What JSON schema says of the sizes of a model."""
    if _is_free(entry):
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


def _is_free(entry: CatalogEntry) -> bool:
    return set(SIDES) <= set(entry.schema["properties"])


def _sides(size: str, entry: CatalogEntry) -> dict[str, int]:
    match = FREE.fullmatch(size)
    if match is None:
        raise _refused(f"size must be WIDTHxHEIGHT, in pixels, or {AUTO} for {entry.id}")
    return dict(zip(SIDES, map(int, match.groups()), strict=True))


def _factor(size: str, entry: CatalogEntry) -> dict[str, int]:
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


def _refused(message: str) -> InvalidRequest:
    return InvalidRequest(message, param="size")
