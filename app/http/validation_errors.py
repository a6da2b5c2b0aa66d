"""What pydantic found wrong, in plain words: the field, its bounds or its known values."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import ErrorDetails

from app.core.errors import InvalidRequest, Unprocessable

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
Schema = Mapping[str, Any]  # in JSON's own words
ONE, MANY = "|one", "|many"
"""Forms that a field may have. What begins with a bar is no part of a field's name."""
OTHERS = "other values are not supported"
ECHO = 100  # characters of a client's own words that are said back


def explain(errors: Sequence[Mapping[str, Any]], schema: Schema) -> InvalidRequest:
    """The first of these errors, as a client is told it. `schema` is the whole body's."""
    error = errors[0]
    param = _param(error["loc"])
    kind: str = error["type"]
    if kind == "missing":
        return Unprocessable(f"{param} is required", code="missing_parameter", param=param)
    if kind == "extra_forbidden":
        known = ", ".join(_names(_forms(error["loc"][:-1], schema))) or "none"
        message = f"{param} is not a parameter here; known parameters: {known}"
        return Unprocessable(message, code="unknown_parameter", param=param)
    if kind == "value_error":  # two fields that don't fit: whoever checks it says it in full
        message = str(error["msg"]).removeprefix("Value error, ")
        if message.startswith("it "):
            message = f"{param}{message.removeprefix('it')}"
        return Unprocessable(message, param=param or None)
    must = _must(error, _forms(error["loc"], schema))
    return Unprocessable(f"{param or 'the body'} {must}", param=param or None)


def explain_details(errors: list[ErrorDetails], schema: Schema) -> InvalidRequest:
    return explain([dict(e) for e in errors], schema)


def _forms(loc: Sequence[Any], schema: Schema) -> list[Schema]:
    """The schemas that the field at a place may follow; none where that is not told."""
    forms = [schema]
    for step in loc:
        if not _names_a_form(step):
            forms = [y for x in forms for y in _inside(x, step)]
            forms = [_meant(y, schema) for x in forms for y in _each(x)]
    return forms


def _inside(form: Schema, step: Any) -> list[Schema]:
    """The schema of a field, or of an entry of a list."""
    fields = form.get("properties", {})
    inner = form.get("items") if isinstance(step, int) else fields.get(step)
    inner = form.get("additionalProperties") if inner is None else inner
    return [inner] if isinstance(inner, Mapping) else []


def _each(form: Schema) -> list[Schema]:
    """A schema, or all that it may be instead."""
    others = [*form.get("anyOf", ()), *form.get("oneOf", ())]
    return [y for x in others for y in _each(x)] or [form]


def _names_a_form(step: Any) -> bool:
    return isinstance(step, str) and step.startswith("|")


def _meant(form: Schema, schema: Schema) -> Schema:
    """What a reference refers to."""
    name = str(form.get("$ref", "")).removeprefix("#/$defs/")
    meant: Schema = schema.get("$defs", {}).get(name, form)
    return meant


def _names(forms: Sequence[Schema]) -> list[str]:
    return [name for form in forms for name in form.get("properties", ())]


def _param(loc: Sequence[Any]) -> str:
    name = ".".join(str(step) for step in loc if step != "[key]" and not _names_a_form(step))
    return name if len(name) <= ECHO else name[:ECHO] + "…"


def _must(error: Mapping[str, Any], forms: Sequence[Schema]) -> str:
    """What the field must be: with both of its bounds where it has two."""
    kind, ctx = str(error["type"]), error.get("ctx") or {}
    if kind.startswith(("greater_than", "less_than", "multiple_of")):
        return f"must be {_bounds(forms, ctx)}"
    if kind in ("literal_error", "enum"):
        return f"must be {_known(ctx['expected'], _between(forms))}"
    if kind.endswith(("too_long", "too_short")):
        return f"must have {_lengths(kind, ctx)}"
    if kind == "string_pattern_mismatch" and any("artifact" in form for form in forms):
        return "must be the SHA-256 of a file that was posted to /artifacts"
    stem = kind.removesuffix("_type").removesuffix("_parsing").removesuffix("_from_float")
    if stem in KINDS:
        return f"must be {KINDS[stem]}"
    message = str(error["msg"])
    return f"is not valid: {message[:1].lower()}{message[1:]}"


def _known(expected: str, numbers: str) -> str:
    """The known values of a field that may also be a number between bounds, if it may."""
    if numbers:
        return f"one of {_listed(expected)}, or a number {numbers}"
    return f"one of {_listed(expected)}" if " or " in expected else f"{expected}: {OTHERS}"


def _listed(expected: str) -> str:
    return expected.replace("' or '", "', '")


def _between(forms: Sequence[Schema]) -> str:
    """Both bounds of the form that has them, in words; empty if none has."""
    bounded = ((x["minimum"], x["maximum"]) for x in forms if "minimum" in x and "maximum" in x)
    low, high = next(bounded, (None, None))
    if low is None:
        return ""
    if low == high:
        return f"{low}: {OTHERS}"
    return f"between {low} and {high}"


def _bounds(forms: Sequence[Schema], ctx: Mapping[str, Any]) -> str:
    if "multiple_of" in ctx:
        return f"a multiple of {ctx['multiple_of']}"
    if both := _between(forms):
        return both
    for bound, phrase in (
        ("ge", "at least"),
        ("le", "at most"),
        ("gt", "more than"),
        ("lt", "less than"),
    ):
        if bound in ctx:
            return f"{phrase} {ctx[bound]}"
    return "within its bounds"


def _lengths(kind: str, ctx: Mapping[str, Any]) -> str:
    unit = "characters" if kind.startswith("string") else "entries"
    if ctx.get("max_length") == 0:
        return f"no {unit}: it is not supported"
    if "max_length" in ctx:
        return f"at most {ctx['max_length']} {unit}"
    return f"at least {ctx['min_length']} {unit}"
