"""OpenAI's prompt to a model that can do without words, and that a CLIP leads."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.catalog import Catalog
from app.openai.image_request import read_request
from app.settings import Settings
from tests.models.families import tiny_led


@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        ("Bag", {"prompt": None, "class_label": "bag"}),
        ("a dog", {"prompt": "a dog", "class_label": None}),
        ("", {"prompt": None, "class_label": None}),
    ],
)
def test_a_kind_is_a_kind_and_other_words_are_clips(
    prompt: str, told: dict[str, Any], tmp_path: Path
) -> None:
    tiny_led(tmp_path, "diffusion")
    catalog = Catalog(tmp_path, 4)
    catalog.scan()
    body = {"model": "tiny-diffusion", "prompt": prompt}
    settings = Settings(checkpoints=tmp_path)
    _, wish = read_request(catalog, settings, body, json.dumps(body).encode())
    given = dict(wish.params)
    assert {name: given[name] for name in told} == told
