"""Objects of a schema have only the properties that it names."""

from typing import Any

import pytest

from models.params.closed_schemas import closed

SHUT = {"additionalProperties": False}
HEN: dict[str, Any] = {"properties": {"hen": {"type": "integer"}}, "required": ["hen"]}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (HEN, HEN | SHUT),
        ({"items": HEN}, {"items": HEN | SHUT}),
        ({"prefixItems": [HEN, {}]}, {"prefixItems": [HEN | SHUT, {}]}),
        ({"additionalProperties": HEN}, {"additionalProperties": HEN | SHUT}),
        (
            {"$ref": "#/$defs/a", "$defs": {"a": HEN}},
            {"$ref": "#/$defs/a", "$defs": {"a": HEN | SHUT}},
        ),
        ({"anyOf": [HEN, {"type": "null"}]}, {"anyOf": [HEN | SHUT, {"type": "null"}]}),
        ({"allOf": [HEN], "title": "Hen"}, {"allOf": [HEN | SHUT], "title": "Hen"}),
        ({"properties": {}}, {"properties": {}} | SHUT),
        (
            {"properties": {"properties": {"type": "string"}}},
            {"properties": {"properties": {"type": "string"}}} | SHUT,
        ),
    ],
)
def test_an_object_is_closed(schema: dict[str, Any], expected: dict[str, Any]) -> None:
    assert closed(schema) == expected


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"const": HEN},
        {"enum": [HEN]},
        {**HEN, "additionalProperties": True},
        {**HEN, "patternProperties": {"^a": {"type": "null"}}},
        {**HEN, "minProperties": 2},
        {**HEN, "required": ["hen", "fox"]},
        {"allOf": [HEN, {"properties": {"fox": {"type": "null"}}}]},
        {**HEN, "anyOf": [{"required": ["hen"]}, {"properties": {"fox": {"type": "null"}}}]},
        {"items": {"$ref": "#/$defs/a", **HEN}, "$defs": {"a": HEN}},
        {"anyOf": [HEN], "oneOf": [HEN]},
    ],
)
def test_what_asks_for_more_or_combines_stays_open(schema: dict[str, Any]) -> None:
    assert closed(schema) == schema
