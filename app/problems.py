"""What pydantic found wrong, in plain words: the field, its bounds or its known values."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import ErrorDetails

from app.errors import InvalidRequest, Unprocessable

KINDS = {
    "int": "a whole number",
    "float": "a number",
    "string": "a string",
    "bool": "true or false",
    "dict": "an object",
    "list": "a list",
    "model": "an object",
    "finite_number": "a finite number",
}
ECHO = 100  # characters of a client's own words that are said back


def explain(errors: Sequence[Mapping[str, Any]], fields: Mapping[str, Any]) -> InvalidRequest:
    """The first of these errors, as a client is told it. `fields` are JSON schemas by name."""
    error = errors[0]
    param = _param(error["loc"])
    kind: str = error["type"]
    if kind == "missing":
        return Unprocessable(f"{param} is required", code="missing_parameter", param=param)
    if kind == "extra_forbidden":
        known = ", ".join(fields) or "none"
        message = f"{param} is not a parameter here; known parameters: {known}"
        return Unprocessable(message, code="unknown_parameter", param=param)
    schema = fields.get(str(error["loc"][0]), {}) if error["loc"] else {}
    return Unprocessable(f"{param or 'the body'} {_must(error, schema)}", param=param or None)


def explain_details(errors: list[ErrorDetails], fields: Mapping[str, Any]) -> InvalidRequest:
    return explain([dict(e) for e in errors], fields)


def _param(loc: Sequence[Any]) -> str:
    name = ".".join(str(part) for part in loc if part != "[key]")
    return name if len(name) <= ECHO else name[:ECHO] + "…"


def _must(error: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """What the field must be: with both of its bounds where it has two."""
    kind, ctx = str(error["type"]), error.get("ctx") or {}
    if kind.startswith(("greater_than", "less_than")):
        return f"must be {_bounds(schema, ctx)}"
    if kind in ("literal_error", "enum"):
        return f"must be one of {ctx['expected'].replace(' or ', ', ')}"
    if kind.endswith(("too_long", "too_short")):
        return f"must have {_lengths(kind, ctx)}"
    stem = kind.removesuffix("_type").removesuffix("_parsing").removesuffix("_from_float")
    if stem in KINDS:
        return f"must be {KINDS[stem]}"
    words = str(error["msg"]).removeprefix("Value error, ")
    return f"is not valid: {words[:1].lower()}{words[1:]}"


def _bounds(schema: Mapping[str, Any], ctx: Mapping[str, Any]) -> str:
    own = _numeric(schema)
    if "minimum" in own and "maximum" in own:
        return f"between {own['minimum']} and {own['maximum']}"
    for bound, words in (
        ("ge", "at least"),
        ("le", "at most"),
        ("gt", "more than"),
        ("lt", "less than"),
    ):
        if bound in ctx:
            return f"{words} {ctx[bound]}"
    return "within its bounds"


def _numeric(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a schema that has the bounds: itself, or its branch that is not null."""
    return next((x for x in schema.get("anyOf", ()) if "minimum" in x or "maximum" in x), schema)


def _lengths(kind: str, ctx: Mapping[str, Any]) -> str:
    unit = "characters" if kind.startswith("string") else "entries"
    if "max_length" in ctx:
        return f"at most {ctx['max_length']} {unit}"
    return f"at least {ctx['min_length']} {unit}"
