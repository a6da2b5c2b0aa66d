"""One JSON schema for a tool, of the requests of all the models that the tool can use.

Clients of the protocol take an object with properties, and few of them an `anyOf` of objects. So
each property is whatever one of the models takes under its name; the model that is chosen
validates the whole request.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.catalog.catalog import CatalogEntry
from app.http.openapi_schemas import portable

ABOUT = ("title", "description", "default", "examples")
PREFIX = "#/$defs/"


def request_schema(
    entries: Sequence[CatalogEntry], default: str, also: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the schema of a request to any of these models, with the properties of `also`.

    `default` is the id of the model that a request without `model` gets.
    """
    ordered = sorted(entries, key=lambda entry: (entry.id != default, entry.id))
    fields: dict[str, dict[str, dict[str, Any]]] = {}
    for entry in ordered:
        definitions = entry.schema.get("$defs", {})
        for name, field in entry.schema["properties"].items():
            fields.setdefault(name, {})[entry.id] = inlined(field, definitions)
    everyone = [entry.id for entry in ordered]
    properties = {name: merged(forms, everyone) for name, forms in fields.items()}
    properties["model"] = {
        "type": "string",
        "enum": everyone,
        "description": f"The checkpoint to use; {default} if it is left out.",
    }
    schema = {
        "type": "object",
        "properties": properties | dict(also),
        "required": sorted(_required_by_all(ordered)),
        "additionalProperties": False,
    }
    merged_schema: dict[str, Any] = portable(schema)
    return merged_schema


def merged(forms: Mapping[str, dict[str, Any]], everyone: Sequence[str]) -> dict[str, Any]:
    """Returns a schema of any of these forms of one field, by the models that take them.

    A default is kept where all of these models have it.
    """
    first = next(iter(forms.values()))
    bare = {_text(_bare(form)): _bare(form) for form in forms.values()}
    defaults = {_text(form.get("default")) for form in forms.values()}
    about = {name: first[name] for name in ABOUT if name in first}
    if len(defaults) > 1:
        about.pop("default", None)
    if len(forms) < len(everyone):
        only = ", ".join(forms)
        about["description"] = f"{about.get('description', '')} (Of {only}.)".strip()
    if len(bare) == 1:
        return {**_bare(first), **about}
    alternatives = [x for form in bare.values() for x in form.get("anyOf", [form])]
    return {"anyOf": list({_text(x): x for x in alternatives}.values()), **about}


def inlined(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """Returns the schema with each reference replaced by what it refers to."""
    if isinstance(schema, list):
        return [inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    reference = schema.get("$ref")
    if isinstance(reference, str):
        rest = {name: value for name, value in schema.items() if name != "$ref"}
        target = definitions[reference.removeprefix(PREFIX)]
        return inlined({**target, **rest}, definitions)
    return {name: inlined(value, definitions) for name, value in schema.items()}


def _bare(form: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in form.items() if name not in ABOUT}


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _required_by_all(entries: Iterable[CatalogEntry]) -> set[str]:
    required = [set(entry.schema.get("required", ())) for entry in entries]
    return set.intersection(*required) if required else set()
