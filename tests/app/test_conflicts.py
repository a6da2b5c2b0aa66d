"""What a model's JSON schema says of params that go together is what its validators do."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from pydantic import BaseModel, ValidationError

from app.catalog.catalog import Catalog, CatalogEntry
from app.openai.images.request import ImageRequest, in_dialect
from app.openai.text.chat_request import ChatRequest
from app.openai.text.completion_request import CompletionRequest
from models.params.conflicts import ABSENT, GIVEN, Conflict, check, forbid, one_of, other_than
from tests.models.families import NETS, tiny_checkpoint


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, CatalogEntry]:
    """Models that have all that their families can have."""
    folder: Path = tmp_path_factory.mktemp("all")
    for family in NETS:
        tiny_checkpoint(folder, family)
    catalog = Catalog(folder, max_items=8)
    catalog.scan()
    return catalog.entries


def values(schema: dict[str, Any]) -> list[Any]:
    """Values that are all right for a field alone."""
    forms = schema.get("anyOf", [schema])
    chosen = [*schema.get("examples", ())[:1], *schema.get("enum", ())]
    for form in forms:
        chosen += form.get("enum", [])
        chosen += {"boolean": [True, False], "null": [None]}.get(form.get("type"), [])
        chosen += [1] if form.get("minimum", 2) <= 1 <= form.get("maximum", 0) else []
    return chosen


def bodies(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Requests with two fields of every value, and what else is required."""
    fields = schema["properties"]
    known = {name: x["examples"][0] for name, x in fields.items() if x.get("examples")}
    base = {name: known[name] for name in schema.get("required", ())}
    yield base
    for one, other in itertools.combinations(sorted(fields), 2):
        for x, y in itertools.product(values(fields[one]), values(fields[other])):
            yield {**base, one: x, other: y}


def is_taken(request: type[BaseModel], body: dict[str, Any]) -> bool:
    try:
        request.model_validate(body)
    except ValidationError:
        return False
    return True


def assert_alike(request: type[BaseModel], schema: dict[str, Any]) -> None:
    validator = jsonschema_rs.validator_for(schema)
    for body in bodies(schema):
        assert validator.is_valid(body) == is_taken(request, body), body


@pytest.mark.parametrize("family", NETS)
def test_the_schema_says_which_params_go_together(
    entries: dict[str, CatalogEntry], family: str
) -> None:
    entry = entries[f"tiny-{family}"]
    assert_alike(entry.request, entry.schema)


@pytest.mark.parametrize("kind", [ChatRequest, CompletionRequest])
def test_so_do_the_schemas_of_openai(kind: type[BaseModel]) -> None:
    assert_alike(kind, kind.model_json_schema())


def test_a_message_that_is_no_answer_has_content() -> None:
    validator = jsonschema_rs.validator_for(ChatRequest.model_json_schema())
    for role, taken in (("user", False), ("system", False), ("assistant", True)):
        body = {"messages": [{"role": role}]}
        assert validator.is_valid(body) is taken
        assert is_taken(ChatRequest, body) is taken


def test_a_picture_of_openai_keeps_the_models_conflicts(entries: dict[str, CatalogEntry]) -> None:
    entry = entries["tiny-diffusion"]
    validator = jsonschema_rs.validator_for(in_dialect(entry, entry.schema, "exact"))
    label = entry.header.labels[0]
    taken: list[dict[str, Any]] = [
        {"prompt": ""},
        {"prompt": label, "guidance_scale": 2},
        {"prompt": "", "stream": True, "partial_images": 1},
    ]
    refused: list[dict[str, Any]] = [
        {"prompt": "", "strength": 0.5},
        {"prompt": "", "guidance_scale": 2},
        {"prompt": "", "partial_images": 1},
        {"prompt": "", "stream": True, "response_format": "url"},
    ]
    assert all(validator.is_valid(body) for body in taken)
    assert not any(validator.is_valid(body) for body in refused)
    assert all(is_taken(ImageRequest, body) for body in taken)


@pytest.mark.parametrize("text", ["", " ", "\n", "a\x00", "\x1f", "a\x7fb"])
def test_the_schema_says_that_text_is_legible(entries: dict[str, CatalogEntry], text: str) -> None:
    entry = entries["tiny-latent_diffusion"]
    body = {"prompt": text}
    assert not is_taken(entry.request, body)
    assert not jsonschema_rs.validator_for(entry.schema).is_valid(body)


@pytest.mark.parametrize("text", ["a", " a\tb\r\n", "苹果", "a\x80", "é 🚀"])
def test_and_takes_what_is(entries: dict[str, CatalogEntry], text: str) -> None:
    entry = entries["tiny-latent_diffusion"]
    assert is_taken(entry.request, {"prompt": text})
    assert jsonschema_rs.validator_for(entry.schema).is_valid({"prompt": text})


def test_a_conflict_with_a_param_that_is_lacking() -> None:
    schema = {"properties": {"strength": {}}}
    conflict = {"strength": GIVEN, "init_image": ABSENT}
    assert "if" in forbid(schema, [conflict])  # the picture can't be given
    assert forbid(schema, [{"strength": GIVEN, "interpolate": GIVEN}]) == schema


@pytest.mark.parametrize(
    ("conflict", "message"),
    [
        ({"a": GIVEN, "b": GIVEN}, "a and b don't go together"),
        ({"a": GIVEN, "b": ABSENT}, "a needs b"),
        ({"a": GIVEN, "b": other_than("x", "y")}, "a needs the b x or y"),
        ({"a": GIVEN, "b": one_of(3)}, "a needs a b other than 3"),
    ],
)
def test_a_conflict_says_what_its_first_param_needs(conflict: Conflict, message: str) -> None:
    other = {"b": None if conflict["b"] == ABSENT else 3}
    with pytest.raises(ValueError, match=f"^{message}$"):
        check([conflict], "a", 1, other)
    check([conflict], "a", None, other)
    check([conflict], "a", 1, {})  # b was refused itself, or comes later
    check([conflict], "c", 1, {"a": 1, **other})
