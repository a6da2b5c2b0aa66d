"""The request that a file's facts repeat."""

from pathlib import Path
from typing import Any

import pytest

from atelier.cli.file_facts import request_of


@pytest.mark.parametrize("size", [None, "512x256"])
def test_a_resized_file_is_asked_for_in_its_size(size: str | None) -> None:
    facts: dict[str, Any] = {"model": "m", "seed": 7, "params": {"temperature": 1.0, "prior": None}}
    facts |= {} if size is None else {"output_size": size}
    request = {"model": "m", "seed": 7, "temperature": 1.0, "output_format": "png"}
    expected = request if size is None else request | {"output_size": size}
    assert request_of(Path("m-7.png"), facts) == expected
