"""A form's fields, which are texts, as JSON would have them."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json

from app.core.errors import Unprocessable
from app.http.validation_errors import ECHO

KEYED = re.compile(r"(?P<name>[^\[\]]+)\[(?P<key>[^\[\]]+)\]")  # a form's way to say name.key
BOOLEANS = {"True": True, "False": False}
"""As Python writes them, and so do clients of forms that are written in it."""


def form_fields(form: Mapping[str, str], takes: Mapping[str, Any]) -> dict[str, Any]:
    """A form's fields as JSON would have them; `name[key]` is a key of an object. `takes` has the
    schemas of those that may be something else than text.

    Raises Unprocessable for an object that is given in two ways, and for `name[]` and
    `name[key][key]`, since no object here holds a list or an object.
    """
    plain = {name: text for name, text in form.items() if "[" not in name}
    fields: dict[str, Any] = {n: _value(text, takes.get(n, {})) for n, text in plain.items()}
    for name, text in form.items():
        if name in plain:
            continue
        match = KEYED.fullmatch(name)
        if match is None:
            message = f"{name[:ECHO]} is not a parameter here: a key of an object is name[key]"
            raise Unprocessable(message, code="unknown_parameter", param=name[:ECHO])
        if match["name"] in plain:
            message = f"{match['name'][:ECHO]} is given twice: as a whole, and key by key"
            raise Unprocessable(message, param=match["name"][:ECHO])
        fields.setdefault(match["name"], {})[match["key"]] = text
    return fields


def _value(text: str, schema: Mapping[str, Any]) -> Any:
    """A field's text as JSON, unless the model takes text; what can't be read is left as it is,
    so that the schema refuses it in its own words."""
    kinds = {option.get("type") for option in (schema, *schema.get("anyOf", ()))} - {None, "null"}
    if not kinds or "string" in kinds:
        return text
    if kinds == {"boolean"} and text in BOOLEANS:
        return BOOLEANS[text]
    if text == "null":
        return text  # a form leaves out what is null
    try:
        return from_json(text, allow_inf_nan=False)  # limits depth, unlike json.loads
    except ValueError:
        return text
