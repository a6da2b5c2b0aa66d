"""JSON schemas that an answer has to keep: what of one can be enforced, and how it is written."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any

from llguidance import LLMatcher, LLTokenizer
from pydantic import AfterValidator, Field

LETTERS = 2**16  # of a schema as JSON
DEEPEST = 64  # levels of objects and lists within a schema
EXPLAINED = 200  # letters of what the library says of a schema
WRITING: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""How answers in JSON are written: on one line, as Python's `json.dumps` writes them."""
_UNENFORCED = re.compile(r"Unimplemented keys: (\[.*\])")


class SchemaRefused(ValueError):
    """A JSON schema that can't be enforced; the message says why."""


def check_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Returns the schema. Raises SchemaRefused where no answer can be made to keep it."""
    if (depth := _depth(schema)) > DEEPEST:
        raise SchemaRefused(f"the schema is {depth} levels deep; {DEEPEST} are taken")
    spelled = json.dumps(schema)
    if len(spelled) > LETTERS:
        raise SchemaRefused(f"the schema has {len(spelled)} letters of JSON; {LETTERS} are taken")
    if why := _refusal(spelled):
        raise SchemaRefused(why)
    return schema


def check_together(schemas: Sequence[Mapping[str, Any]]) -> None:
    """Raises SchemaRefused where several schemas are larger together than one may be."""
    letters = sum(len(json.dumps(schema)) for schema in schemas)
    if letters > LETTERS:
        raise SchemaRefused(
            f"the schemas have {letters} letters of JSON together; {LETTERS} are taken"
        )


def compact(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with the form of writing that answers have, for the library.

    `propertyNames` goes where it asks for what all names are: the library doesn't know it.
    """
    return {**_without_trivial(schema), "x-guidance": WRITING}


JSONSchema = Annotated[
    dict[str, Any],
    AfterValidator(check_schema),
    Field(
        json_schema_extra={"additionalProperties": True},
        examples=[
            {
                "type": "object",
                "properties": {"title": {"type": "string"}, "year": {"type": "integer"}},
                "required": ["title", "year"],
                "additionalProperties": False,
            }
        ],
    ),
]
"""A JSON schema that answers can be made to keep."""


@lru_cache(256)
def _refusal(spelled: str) -> str:
    """Why the library can't enforce a schema; empty if it can."""
    try:
        grammar = LLMatcher.grammar_from_json_schema(compact(json.loads(spelled)))
        matcher = LLMatcher(_bytes_alone(), grammar, log_level=0)
        if matcher.get_error():
            return _explained(matcher.get_error())
        mask = matcher.compute_bitmask()
    except ValueError as error:
        return _explained(str(error))
    return "" if not matcher.is_error() and any(mask) else "no answer can be valid"


def _explained(error: str) -> str:
    """The library's words for it, in one line."""
    if match := _UNENFORCED.search(error):
        names = ", ".join(json.loads(match[1]))
        return f"the schema has keywords that can't be enforced: {names}"
    if error.startswith("regex parse error"):
        why = error.rsplit("error: ", 1)[-1].strip()
        return f"the schema has a pattern that can't be enforced: {why}"[:EXPLAINED]
    return f"the schema can't be enforced: {error.splitlines()[0]}"[:EXPLAINED]


@lru_cache(1)
def _bytes_alone() -> LLTokenizer:
    """A tokenizer whose tokens are bytes: what can be written depends on no other."""
    return LLTokenizer("byte")


def _depth(value: Any) -> int:
    """Levels of objects and lists in a value of JSON."""
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        one, level = waiting.pop()
        deepest = max(deepest, level)
        waiting += [(child, level + 1) for child in _children(one)]
    return deepest


def _children(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _without_trivial(value: Any) -> Any:
    """The schema without what every JSON object keeps."""
    if isinstance(value, list):
        return [_without_trivial(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    trivial = value.get("propertyNames") in ({}, {"type": "string"})
    dropped = {"propertyNames"} if trivial else set()
    return {name: _without_trivial(one) for name, one in value.items() if name not in dropped}
