"""OpenAI's prompt to a model that can do without words, and that a CLIP leads."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.catalog.catalog import Catalog
from app.core.errors import InvalidRequest
from app.core.settings import Settings
from app.openai.images.request import ImageRequest, in_dialect, read_request
from models.params.base import Params
from tests.models.families import tiny_guided

LEAD = {"clip_guidance_scale": 50.0}
GIVEN: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"prompt": "Bag"}, {"prompt": None, "class_label": "bag"}),
    ({"prompt": "bag", "class_label": None}, {"prompt": None, "class_label": "bag"}),
    ({"prompt": "bag", "clip_guidance_scale": None}, {"prompt": None, "class_label": "bag"}),
    ({"prompt": "a dog"}, {"prompt": "a dog", "class_label": None}),
    ({"prompt": ""}, {"prompt": None, "class_label": None}),
    ({"prompt": "", "class_label": "bag"}, {"prompt": None, "class_label": "bag"}),
    ({"prompt": "a dog", "class_label": "bag"}, {"prompt": "a dog", "class_label": "bag"}),
    ({"prompt": "shoe", "class_label": "bag"}, {"prompt": "shoe", "class_label": "bag"}),
    ({"prompt": "a dog", **LEAD}, {"prompt": "a dog", "class_label": None, **LEAD}),
    ({"prompt": "bag", **LEAD}, {"prompt": "bag", "class_label": None, **LEAD}),
    (
        {"prompt": "a dog", "class_label": "bag", **LEAD, "clip_guidance_every": 2},
        {"prompt": "a dog", "class_label": "bag", **LEAD, "clip_guidance_every": 2},
    ),
]


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    tiny_guided(tmp_path, "diffusion")
    catalog = Catalog(tmp_path, max_items=4)
    catalog.scan()
    return catalog


def asked(catalog: Catalog, fields: dict[str, Any]) -> Params:
    body = {"model": "tiny-diffusion", **fields}
    _, request = read_request(catalog, Settings(), body, json.dumps(body).encode())
    return request.params


@pytest.mark.parametrize(("fields", "expected"), GIVEN)
def test_a_kind_is_a_kind_and_other_words_are_clips(
    fields: dict[str, Any], expected: dict[str, Any], catalog: Catalog
) -> None:
    params = dict(asked(catalog, fields))
    assert {name: params[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"prompt": "", **LEAD}, "clip_guidance_scale needs prompt"),
        ({"prompt": "bag", "clip_guidance_every": 2}, "clip_guidance_every needs clip_guidance_"),
    ],
)
def test_a_lead_needs_words(fields: dict[str, Any], message: str, catalog: Catalog) -> None:
    with pytest.raises(InvalidRequest, match=message):
        asked(catalog, fields)


@pytest.mark.parametrize("prompt", [None, 5])
def test_a_prompt_is_a_string(prompt: Any, catalog: Catalog) -> None:
    with pytest.raises(InvalidRequest, match="prompt must be a string"):
        asked(catalog, {"prompt": prompt})


def test_the_document_tells_of_openais_prompt(catalog: Catalog) -> None:
    entry = catalog.find("tiny-diffusion")
    schema = in_dialect(entry, entry.schema, "exact")
    assert (
        schema["properties"]["prompt"] == ImageRequest.model_json_schema()["properties"]["prompt"]
    )
    assert schema["properties"]["prompt"]["type"] == "string"
    assert "minLength" not in schema["properties"]["prompt"]
    assert "prompt" in schema["required"]
    assert "clip_guidance_scale" in schema["properties"]
