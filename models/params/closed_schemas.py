"""Closes the objects of a JSON schema: an answer has only the properties that its schema names.

A schema without `additionalProperties` allows any others. A small model would go on to write them
until its tokens run out, so they are left out, as OpenAI's models leave them out. What is valid
against the closed schema is valid against the other.
"""

from collections.abc import Iterator, Mapping
from typing import Any

NAMED = ("properties", "patternProperties", "$defs", "definitions")  # schemas by name
LISTED = ("anyOf", "oneOf", "allOf", "prefixItems")  # schemas in a list
SINGLE = ("items", "additionalProperties")
COMBINING = {"anyOf", "oneOf", "allOf", "$ref"}
BESIDE = {"title", "description", "default", "examples", "$schema", "$id", "$defs", "definitions"}
"""Keywords that a schema may have beside a combining one, and still be no other than its forms."""
OPEN = {"additionalProperties", "patternProperties", "unevaluatedProperties", "minProperties"}


def closed(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema with its objects closed.

    It stays as it is where some of its objects are combined out of several schemas: properties
    that one of these names would be refused by the others.
    """
    if any(map(_combines, _subschemas(schema))):
        return schema
    result: Mapping[str, Any] = _closed(schema)
    return result


def _closed(schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    result = {**schema}
    for key in NAMED:
        if isinstance(schemas := schema.get(key), Mapping):
            result[key] = {name: _closed(one) for name, one in schemas.items()}
    for key in LISTED:
        if isinstance(forms := schema.get(key), list):
            result[key] = [_closed(form) for form in forms]
    for key in SINGLE:
        if key in schema:
            result[key] = _closed(schema[key])
    return {**result, "additionalProperties": False} if _is_open(schema) else result


def _is_open(schema: Mapping[str, Any]) -> bool:
    """Whether an object leaves it open what properties it has beside those that it names."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or OPEN & schema.keys():
        return False
    return properties.keys() >= {*schema.get("required", ())}


def _combines(schema: Mapping[str, Any]) -> bool:
    """Whether a value has to be valid against several schemas at once."""
    keys = COMBINING & schema.keys()
    several = len(keys) > 1 or len(schema.get("allOf", ())) > 1
    return bool(keys) and (several or bool(schema.keys() - keys - BESIDE))


def _subschemas(schema: Any) -> Iterator[Mapping[str, Any]]:
    """The schema and all within it."""
    if not isinstance(schema, Mapping):
        return
    yield schema
    for key in NAMED:
        if isinstance(schemas := schema.get(key), Mapping):
            for one in schemas.values():
                yield from _subschemas(one)
    for key in LISTED:
        if isinstance(forms := schema.get(key), list):
            for form in forms:
                yield from _subschemas(form)
    for key in SINGLE:
        yield from _subschemas(schema.get(key))
