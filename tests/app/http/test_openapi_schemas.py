"""Schemas in the forms that generators of clients take allow what they allowed."""

from typing import Any

import jsonschema
import pytest

from app.http.openapi_schemas import portable

SIZE = {
    "anyOf": [{"type": "string"}, {"type": "null"}],
    "enum": ["28x28", "auto", None],
    "default": None,
    "title": "Size",
}


def test_limits_move_into_the_branch_that_they_are_of() -> None:
    choices = {"type": "string", "enum": ["28x28", "auto"]}
    assert portable(SIZE) == {"anyOf": [choices, {"type": "null"}]}
    pattern = {"anyOf": [{"type": "string"}, {"type": "null"}], "pattern": "^a"}
    assert portable(pattern)["anyOf"][0] == {"type": "string", "pattern": "^a"}


def test_a_property_may_be_called_title_or_default() -> None:
    schema = {"properties": {"title": {"type": "string"}, "default": {"type": "null"}}}
    assert portable(schema) == schema


def test_a_default_that_is_a_value_stays() -> None:
    assert portable({"type": "integer", "default": 0}) == {"type": "integer", "default": 0}


def test_a_choice_names_its_type() -> None:
    assert portable({"enum": ["a", "b"]}) == {"type": "string", "enum": ["a", "b"]}
    assert portable({"enum": ["a", 1]}) == {"enum": ["a", 1]}


@pytest.mark.parametrize("value", ["28x28", "auto", "32x32", None, 5, ""])
def test_the_same_is_allowed(value: Any) -> None:
    before, after = (
        jsonschema.Draft202012Validator(x).is_valid(value) for x in (SIZE, portable(SIZE))
    )
    assert before == after
