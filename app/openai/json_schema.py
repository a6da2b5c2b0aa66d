"""JSON schemas of the fields that a dialect takes in more forms than the model's own request."""

from collections.abc import Mapping
from typing import Any

NULL = {"type": "null"}
ANNOTATIONS = ("title", "description", "default", "examples")


def either(form: Mapping[str, Any], *others: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a schema of any of these forms. The annotations of the first stay outside."""
    annotations = {name: form[name] for name in ANNOTATIONS if name in form}
    bare = {name: value for name, value in form.items() if name not in ANNOTATIONS}
    forms = bare.get("anyOf", [bare] if bare else [])
    return {**annotations, "anyOf": [*forms, *others]}


def or_null(form: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the schema, or null, which these dialects read as left out.

    An empty default is dropped: generators of clients take none of an object beside null.
    """
    if NULL in form.get("anyOf", ()):
        return form
    return either({k: v for k, v in form.items() if k != "default" or v not in ({}, [])}, NULL)
