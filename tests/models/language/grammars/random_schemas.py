"""Random JSON schemas of all that can be enforced, a seed each."""

import random
from collections.abc import Callable
from typing import Any

WORDS = ("hen", "ant", "the tent", 'say "eel"', "ümlaut", "雨", "")
DEEPEST = 3


def random_schema(seed: int) -> dict[str, Any]:
    """An object, with definitions that parts of it refer to."""
    chance = random.Random(seed)
    definitions = {"leaf": _leaf(chance), "pair": _tuple(chance, DEEPEST)}
    return {**_object(chance, 0), "$defs": definitions}


def _any(chance: random.Random, depth: int) -> dict[str, Any]:
    kinds: list[Callable[..., dict[str, Any]]] = [_leaf]
    if depth < DEEPEST:
        kinds += [_object, _array, _tuple, _union, _reference]
    kind = chance.choice(kinds)
    return kind(chance) if kind in (_leaf, _reference) else kind(chance, depth + 1)


def _leaf(chance: random.Random) -> dict[str, Any]:
    kinds = [_integer, _number, _string, _enum, _constant, _boolean]
    return chance.choice(kinds)(chance)


def _integer(chance: random.Random) -> dict[str, Any]:
    low = chance.randint(-500, 500)
    high = low + chance.randint(0, 300)
    bounds = chance.choice([{"minimum": low, "maximum": high}, {"exclusiveMinimum": low - 1}])
    return {"type": "integer", **bounds}


def _number(chance: random.Random) -> dict[str, Any]:
    low = round(chance.uniform(-50, 50), 2)
    return {"type": "number", "minimum": low, "exclusiveMaximum": round(low + 7.5, 2)}


def _string(chance: random.Random) -> dict[str, Any]:
    shapes: list[dict[str, Any]] = [
        {"minLength": chance.randint(0, 3), "maxLength": chance.randint(3, 9)},
        {"pattern": "^[a-c]{2,4}(-[0-9]{2})?$"},
        {"format": chance.choice(["date", "uuid", "ipv4"])},
    ]
    return {"type": "string", **chance.choice(shapes)}


def _enum(chance: random.Random) -> dict[str, Any]:
    values = [*chance.sample(WORDS, 3), chance.randint(0, 9), None, {"a": [1.5]}]
    return {"enum": chance.sample(values, chance.randint(1, 4))}


def _constant(chance: random.Random) -> dict[str, Any]:
    return {"const": chance.choice([*WORDS, 7, True, None])}


def _boolean(chance: random.Random) -> dict[str, Any]:
    return {"type": chance.choice(["boolean", "null", ["boolean", "null"]])}


def _object(chance: random.Random, depth: int) -> dict[str, Any]:
    names = chance.sample(["a", "b", "a long name", "ü", "x-y"], chance.randint(1, 4))
    required = [name for name in names if chance.random() < 0.6]
    properties = {name: _any(chance, depth) for name in names}
    closed = {"additionalProperties": False if chance.random() < 0.8 else _leaf(chance)}
    return {"type": "object", "properties": properties, "required": required, **closed}


def _array(chance: random.Random, depth: int) -> dict[str, Any]:
    least = chance.randint(0, 2)
    bounds = {"minItems": least, "maxItems": least + chance.randint(0, 2)}
    return {"type": "array", "items": _any(chance, depth), **bounds}


def _tuple(chance: random.Random, depth: int) -> dict[str, Any]:
    prefix = [_any(chance, depth) for _ in range(2)]
    return {"type": "array", "prefixItems": prefix, "items": False, "minItems": 2}


def _union(chance: random.Random, depth: int) -> dict[str, Any]:
    return {"anyOf": [_any(chance, depth) for _ in range(chance.randint(2, 3))]}


def _reference(chance: random.Random) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{chance.choice(['leaf', 'pair'])}"}
