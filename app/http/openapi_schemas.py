"""Writes the schemas of the OpenAPI document in the forms that generators of clients take.

What a schema allows stays the same. The forms that pydantic writes and generators stumble over are
`default: null`, a title on every property, and limits beside an `anyOf` instead of in it.
"""

from typing import Any

STRING_LIMITS = ("enum", "pattern", "minLength", "maxLength")
TYPES = {str: "string", bool: "boolean", int: "integer", float: "number"}


def portable(schema: Any) -> Any:
    """Returns the same schema, or list of schemas, in forms that generators take."""
    if isinstance(schema, list):
        return [portable(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: value for name, value in schema.items() if not _is_noise(name, value)}
    if "properties" in plain:
        plain["properties"] = {n: portable(p) for n, p in plain["properties"].items()}
    for name in ("anyOf", "allOf", "oneOf", "items", "additionalProperties", "$defs"):
        if name in plain:
            value = plain[name]
            plain[name] = (
                {n: portable(p) for n, p in value.items()} if name == "$defs" else portable(value)
            )
    return _typed(_with_limits_inside(plain))


def _is_noise(name: str, value: Any) -> bool:
    """A title says what the property's name says. A default of null only says that a property may
    be left out, and generators make a property with any default one that is always sent."""
    return (name == "title" and isinstance(value, str)) or (name == "default" and value is None)


def _with_limits_inside(schema: dict[str, Any]) -> dict[str, Any]:
    """Limits of a string beside an `anyOf` are moved to the string in it."""
    limits = {name: schema[name] for name in STRING_LIMITS if name in schema}
    if "anyOf" not in schema or not limits:
        return schema
    if "enum" in limits:
        limits["enum"] = [value for value in limits["enum"] if value is not None]
    branches = [{**x, **limits} if x.get("type") == "string" else x for x in schema["anyOf"]]
    rest = {name: value for name, value in schema.items() if name not in limits}
    return {**rest, "anyOf": branches}


def _typed(schema: dict[str, Any]) -> dict[str, Any]:
    """A choice of values of one type names the type."""
    kinds = {type(value) for value in schema.get("enum", ())}
    if len(kinds) != 1 or "type" in schema:
        return schema
    return {"type": TYPES[kinds.pop()], **schema}
