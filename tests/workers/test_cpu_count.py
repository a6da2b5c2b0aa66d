"""Cores that may be used: no more than a container's share."""

from pathlib import Path

import pytest

from workers.cpu_count import usable_cores


@pytest.mark.parametrize(
    ("limit_text", "most"), [("50000 100000\n", 1), ("100000 100000\n", 1), ("max 100000\n", None)]
)
def test_a_containers_share_is_heeded(tmp_path: Path, limit_text: str, most: int | None) -> None:
    share = tmp_path / "cpu.max"
    every = usable_cores(share)
    assert every >= 1
    share.write_text(limit_text)
    assert usable_cores(share) == (every if most is None else most)
