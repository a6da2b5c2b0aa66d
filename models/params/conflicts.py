"""Combinations of params that a request can't have, as data: the API's document says them too.

A conflict names params and what each must be for it to hold. `{"mask": GIVEN, "init_image":
ABSENT}` says that a mask without a picture is refused. `check` refuses a request, and `forbid`
writes the conflicts of a class into its JSON schema, as one `if` whose `then` nothing matches:
generators of clients make models of a `not`, and ignore an `if`. No torch: the API imports this.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Condition(NamedTuple):
    """Whether a param has one of these values, or none of them."""

    values: tuple[Any, ...]
    is_among: bool
    is_explicit: bool = False
    """Whether it holds only where the request names the param: a default is not enough."""

    def holds(self, value: Any) -> bool:
        return (value in self.values) is self.is_among

    def schema(self) -> dict[str, Any]:
        among = {"enum": list(self.values)}
        return among if self.is_among else {"not": among}


class Below(NamedTuple):
    """Whether a param is a number below a limit."""

    limit: int
    is_explicit: bool = True

    def holds(self, value: Any) -> bool:
        return value is not None and value < self.limit

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "exclusiveMaximum": self.limit}


class Above(NamedTuple):
    """Whether a param is a number above a limit."""

    limit: int
    is_explicit: bool = True

    def holds(self, value: Any) -> bool:
        return value is not None and value > self.limit

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "exclusiveMinimum": self.limit}


class Matching(NamedTuple):
    """Whether a param is a text that has a match of a pattern."""

    pattern: str
    is_explicit: bool = True

    def holds(self, value: Any) -> bool:
        return isinstance(value, str) and re.search(self.pattern, value) is not None

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": self.pattern}


class Inside(NamedTuple):
    """Whether a param is an object that has one of these values at a path."""

    path: tuple[str, ...]
    values: tuple[Any, ...]
    is_explicit: bool = True

    def holds(self, value: Any) -> bool:
        for name in self.path:
            value = value.get(name) if isinstance(value, Mapping) else None
        return value in self.values

    def schema(self) -> dict[str, Any]:
        inner: dict[str, Any] = {"enum": list(self.values)}
        for name in reversed(self.path):
            inner = {"type": "object", "properties": {name: inner}, "required": [name]}
        return inner


Conflict = Mapping[str, Condition | Below | Above | Matching | Inside]


def one_of(*values: Any) -> Condition:
    return Condition(values, True)


def other_than(*values: Any) -> Condition:
    return Condition(values, False)


def explicitly(*values: Any) -> Condition:
    """One of these, or any value where there are none, in the request itself."""
    return Condition(values, bool(values), is_explicit=True)


ABSENT = one_of(None)
GIVEN = other_than(None)


def check(conflicts: Iterable[Conflict], name: str, value: Any, before: Mapping[str, Any]) -> None:
    """Raises ValueError if a value has a conflict with the fields that were validated before.

    So the last field of a conflict is at fault. Conflicts have two fields here.
    """
    known = {**before, name: value}
    for conflict in conflicts:
        if name in conflict and all(n in known and x.holds(known[n]) for n, x in conflict.items()):
            raise ValueError(_message(conflict))


def _message(conflict: Conflict) -> str:
    (first, limited), (second, condition) = conflict.items()
    if isinstance(limited, Above):
        return f"{first} must be at most {limited.limit} with this {second}"
    if not isinstance(condition, Condition) or condition == GIVEN:
        return f"{first} and {second} don't go together"
    if condition == ABSENT:
        return f"{first} needs {second}"
    choices = " or ".join(map(str, condition.values))
    other = "a" if condition.is_among else "the"
    return f"{first} needs {other} {second} {'other than ' * condition.is_among}{choices}"


GROUP = 25  # conflicts of one `anyOf`: schemathesis generates nothing for 42 of them


def forbid(schema: dict[str, Any], conflicts: Iterable[Conflict]) -> dict[str, Any]:
    """The schema, which then refuses these conflicts as far as it has their params."""
    written = [_as_schema(conflict, schema["properties"]) for conflict in conflicts]
    possible = [x for x in written if x is not None]
    if not possible:
        return schema
    groups = [{"anyOf": possible[i : i + GROUP]} for i in range(0, len(possible), GROUP)]
    return {
        **schema,
        "if": groups[0] if len(groups) == 1 else {"anyOf": groups},
        "then": {"not": {}},
    }


def _as_schema(conflict: Conflict, properties: Mapping[str, Any]) -> dict[str, Any] | None:
    """What matches a conflict; None where a param that the schema lacks rules it out."""
    for name, condition in conflict.items():
        if name not in properties and not condition.holds(None):
            return None
    known = {name: x for name, x in conflict.items() if name in properties}
    by_default = {
        name
        for name, x in known.items()
        if not x.is_explicit and x.holds(properties[name].get("default"))
    }
    required = sorted(known.keys() - by_default)
    matched = {"properties": {name: x.schema() for name, x in known.items()}}
    return {**matched, "required": required} if required else matched
