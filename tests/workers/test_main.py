"""Where a worker puts models, and in which precision, by its settings."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from app.settings import Misconfigured, Settings
from models.batching import Place
from workers.main import place_of

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        ({}, Place(CPU)),
        ({"dtype": "bfloat16"}, Place(CPU, torch.bfloat16)),
        ({"language_dtype": "int8"}, Place(CPU, words=torch.int8)),
        ({"language_dtype": "float32"}, Place(CPU, words=torch.float32)),
        (
            {"dtype": "bfloat16", "language_dtype": "float32"},
            Place(CPU, torch.bfloat16, torch.float32),
        ),
    ],
)
def test_models_go_where_the_settings_say(
    asked: dict[str, Any], place: Place, tmp_path: Path
) -> None:
    settings = Settings(state=tmp_path, device="cpu", model_memory=2**31, **asked)
    assert place_of(settings) == replace(place, memory=2**31)


def test_a_device_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="ATELIER_DEVICE: toaster can't be used"):
        place_of(Settings(state=tmp_path, device="toaster"))
