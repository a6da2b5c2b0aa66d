"""Headers that are well-formed but nonsense: the models beside them are listed and documented."""

import json
import math
import random
import struct
from pathlib import Path
from typing import Any

import pytest

from app.catalog.catalog import Catalog
from models.families import FAMILIES
from tests.conftest import MODEL, save_vae

ODD: tuple[Any, ...] = (None, True, -1, 0, 2**70, 1e300, "", "x" * 999, [], [None], {}, {"": {}})
NET = ("size", "channels", "components", "frames", "rate")
PROCESS = ("steps", "rate", "pitches", "fps", "schedule", "tokens")


def write_header(path: Path, card: dict[str, Any]) -> None:
    table = json.dumps({"__metadata__": {"atelier": json.dumps(card)}}).encode()
    path.write_bytes(struct.pack("<Q", len(table)) + table)


def odd_card(family: str, rng: random.Random) -> dict[str, Any]:
    own = list(FAMILIES[family].params.model_fields)
    bounds = rng.choice(([0, 1], [1, 0], [-1e300, 1e300], [5, 5]))
    return {
        "family": family,
        "net": {name: rng.choice(ODD) for name in rng.sample(NET, 2)},
        "process": {name: rng.choice(ODD) for name in rng.sample(PROCESS, 2)},
        "defaults": {rng.choice(own): rng.choice(ODD)} if rng.random() < 0.5 else {},
        "limits": {rng.choice(own): bounds} if rng.random() < 0.5 else {},
        "labels": rng.choice(([], ["a", "a"], [""], ["x" * 9999], [str(i) for i in range(50)])),
        "attributes": rng.choice(([], ["a"], ["", ""])),
        "quality": {"figure": rng.choice(ODD)},
    }


@pytest.mark.parametrize("family", list(FAMILIES))
def test_odd_headers_leave_the_rest_in_order(tmp_path: Path, family: str) -> None:
    save_vae(tmp_path / f"{MODEL}.safetensors")
    rng = random.Random(family)
    for number in range(25):
        write_header(tmp_path / f"odd-{number}.safetensors", odd_card(family, rng))
    catalog = Catalog(tmp_path, max_items=8)
    catalog.scan()
    assert MODEL in catalog.entries
    assert len(catalog.entries) + len(catalog.broken) == 26
    for entry in catalog.entries.values():  # what a listing and the document are made of
        json.dumps(entry.schema, allow_nan=False)
        assert json.loads(entry.card([]).model_dump_json())["id"] == entry.id


@pytest.mark.parametrize("number", [math.nan, math.inf])
@pytest.mark.parametrize("field", ["quality", "process", "limits"])
def test_numbers_that_are_not_finite_are_refused(tmp_path: Path, field: str, number: float) -> None:
    card = {"family": "vae", "net": {}, field: {"truncation": [0, number]}}
    write_header(tmp_path / "odd.safetensors", card)
    catalog = Catalog(tmp_path, max_items=8)
    catalog.scan()
    assert "not finite" in catalog.broken["odd"]
