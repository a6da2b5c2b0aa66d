"""Which JSON schemas are taken, and what is said of those that can't be enforced."""

from typing import Any

import pytest
from pydantic import ValidationError

from models.params.json_schemas import SchemaRefused, check_schema
from models.params.text import LanguageParams


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    return schema


def doubling(levels: int) -> dict[str, Any]:
    """A schema whose references spell out to 2 ** levels."""
    pairs = {
        f"d{i}": {"type": "array", "prefixItems": [{"$ref": f"#/$defs/d{i + 1}"}] * 2}
        for i in range(levels)
    }
    return {"$ref": "#/$defs/d0", "$defs": {**pairs, f"d{levels}": {"type": "null"}}}


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "array", "uniqueItems": True}, "can't be enforced: uniqueItems"),
        ({"properties": {"a": {"not": {"type": "null"}}}}, "can't be enforced: not"),
        ({"if": {"type": "string"}}, "can't be enforced: if"),
        ({"contains": {"const": 1}}, "can't be enforced: contains"),
        ({"dependentRequired": {"a": ["b"]}}, "can't be enforced: dependentRequired"),
        ({"propertyNames": {"pattern": "^a"}}, "can't be enforced: propertyNames"),
        ({"type": "string", "pattern": "(?=a)b"}, "a pattern that can't be enforced: look-around"),
        ({"type": "string", "format": "zzz"}, "Unknown format: zzz"),
        ({"type": "strng"}, "Invalid type: strng"),
        ({"type": "integer", "minimum": 5, "maximum": 2}, "minimum .5. is greater than maximum"),
        ({"enum": []}, "Unsatisfiable schema"),
        ({"$ref": "#"}, "no answer can be valid"),
        ({"$ref": "https://example.com/schema"}, "https://example.com/schema"),
        ({"oneOf": [{"type": "number"}, {"type": "integer"}]}, "oneOf"),
    ],
)
def test_a_keyword_that_cannot_be_enforced_is_named(schema: dict[str, Any], message: str) -> None:
    with pytest.raises(SchemaRefused, match=message):
        check_schema(schema)


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (nested(2_000), "levels deep; 64 are taken"),
        ({"enum": [str(i) * 20 for i in range(50_000)]}, "letters of JSON; 65536 are taken"),
        ({"type": "integer", "multipleOf": 982_451_653}, "can't be enforced: fuel exhausted"),
        ({"type": "integer", "maximum": 10**400}, "not JSON serializable|can't be enforced"),
    ],
)
def test_a_hostile_schema_is_refused(schema: dict[str, Any], message: str) -> None:
    with pytest.raises(SchemaRefused, match=message):
        check_schema(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"type": "integer"}, "minItems": 10**6, "maxItems": 10**9},
        {"type": "string", "minLength": 10**5, "maxLength": 10**9},
        {"type": "string", "pattern": "^(a{1,1000}){1,1000}$"},
        {"enum": [f"value {number}" for number in range(3_000)]},
        doubling(40),
        nested(20),
    ],
    ids=lambda schema: next(iter(schema)),
)
def test_work_is_bounded_where_a_schema_asks_for_much(schema: dict[str, Any]) -> None:
    assert check_schema(schema) is schema


def test_annotations_and_what_is_always_true_are_taken() -> None:
    check_schema(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Pair",
            "description": "Two of them.",
            "type": "object",
            "propertyNames": {"type": "string"},
            "additionalProperties": {"type": "integer", "default": 3, "examples": [4]},
        }
    )


def test_a_schema_may_not_loosen_itself() -> None:
    with pytest.raises(SchemaRefused, match="uniqueItems"):
        check_schema({"type": "array", "uniqueItems": True, "x-guidance": {"lenient": True}})


CHAT = {"kind": "chat", "messages": [{"role": "user", "content": "hello"}]}
TOOL = {"name": "weather"}


@pytest.mark.parametrize(
    ("fields", "location", "message"),
    [
        ({"json_schema": {"uniqueItems": True}}, ("json_schema",), "uniqueItems"),
        ({"json_schema": {}, "stop": ["a"]}, ("stop",), "stop and json_schema don't go together"),
        ({"tools": [TOOL], "stop": ["a"]}, ("stop",), "stop and tools don't go together"),
        ({"tools": []}, ("tools",), "at least 1 item"),
        ({"tools": [TOOL, TOOL]}, ("tools",), "two tools are named weather"),
        ({"tools": [{"name": "a b"}]}, ("tools", 0, "name"), "pattern"),
        ({"tools": [{"name": "auto"}]}, ("tools", 0, "name"), "auto is a choice of tools"),
        (
            {"tools": [{**TOOL, "parameters": {"type": "string"}}]},
            ("tools", 0, "parameters"),
            "its type must be object",
        ),
        (
            {"tools": [{**TOOL, "parameters": {"type": "object", "not": {}}}]},
            ("tools", 0, "parameters"),
            "can't be enforced: not",
        ),
        ({"tools": [TOOL], "tool_choice": "now"}, ("tool_choice",), "nor one of the tools"),
        ({"tool_choice": "auto"}, ("tool_choice",), "tool_choice needs tools"),
        ({"parallel_tool_calls": True}, ("parallel_tool_calls",), "needs tools"),
        ({"messages": [{"role": "tool", "content": "3"}]}, ("messages", 0, "tool_call_id"), ""),
        (
            {"messages": [{"role": "user", "content": "3", "tool_call_id": "x"}]},
            ("messages", 0, "tool_call_id"),
            "needs the role tool",
        ),
        (
            {
                "messages": [
                    {
                        "role": "assistant",
                        "content": "",
                        "tool_calls": [{"id": "x", "name": "f", "arguments": "[1]"}],
                    }
                ]
            },
            ("messages", 0, "tool_calls", 0, "arguments"),
            "it must be a JSON object",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_by_its_field(
    fields: dict[str, Any], location: tuple[str | int, ...], message: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        LanguageParams.model_validate({**CHAT, **fields})
    (error,) = refused.value.errors()
    assert error["loc"] == location
    assert message in error["msg"]


def test_schemas_of_tools_are_bounded_together() -> None:
    large = {"type": "object", "properties": {f"k{i}": {"const": "x" * 900} for i in range(40)}}
    tools = [{"name": f"f{i}", "parameters": large} for i in range(3)]
    with pytest.raises(ValidationError, match="letters of JSON together"):
        LanguageParams.model_validate({**CHAT, "tools": tools})


@pytest.mark.parametrize("kind", ["story", "poem", "continuation"])
def test_structure_is_of_chats_and_completions(kind: str) -> None:
    asked = {"text": "the hen"} if kind == "continuation" else {"prompt": "the hen"}
    with pytest.raises(ValidationError, match="json_schema needs the kind chat or completion"):
        LanguageParams.model_validate({"kind": kind, **asked, "json_schema": {}})
    with pytest.raises(ValidationError, match="tools needs the kind chat"):
        LanguageParams.model_validate({"kind": kind, **asked, "tools": [TOOL]})
