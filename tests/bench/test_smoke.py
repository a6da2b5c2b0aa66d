"""Every bench runs in its smoke form, so that none can break unnoticed.

Two more need a whole service: tests/e2e/test_promises.py runs the smoke forms of `bench.chaos` and
`bench.output_hashes`.
"""

import importlib
import json
import logging
import math
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from bench import harness
from bench.__main__ import SCRIPTS
from models.families import FAMILIES

ELSEWHERE = {"chaos", "output_hashes"}
SHARED = {
    "chat_turns",
    "empty_job",
    "harness",
    "killable_service",
    "llama_cpp",
    "noop",
    "sandbox",
    "text_generation",
}
MODULES = {path.stem for path in Path(harness.__file__).parent.glob("[a-z]*.py")}
BENCHES = sorted(MODULES - ELSEWHERE - SHARED)
NOT_MEASURED = {"samples", "truncation"}  # one writes a page, and one prints figures of quality


@pytest.fixture
def process_settings() -> Iterator[None]:
    """Restores what a bench sets for its whole process."""
    threads, families = torch.get_num_threads(), dict(FAMILIES)
    level = logging.getLogger("diffusers").level
    yield
    torch.set_num_threads(threads)
    logging.getLogger("diffusers").setLevel(level)
    FAMILIES.clear()
    FAMILIES.update(families)


def test_make_bench_runs_benches_that_exist() -> None:
    assert set(SCRIPTS) <= set(BENCHES)


@pytest.mark.slow
@pytest.mark.usefixtures("process_settings")
@pytest.mark.parametrize("name", BENCHES)
def test_a_bench_runs_its_smoke_form(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    results = tmp_path / "results.jsonl"
    monkeypatch.setattr(harness, "RESULTS", results)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the peers', which pytest would make errors
        importlib.import_module(f"bench.{name}").main(["--smoke"])
    printed = capsys.readouterr()
    if name in NOT_MEASURED:
        assert printed.out
    elif not results.exists():
        assert "not installed" in printed.err
        pytest.skip(printed.err.strip())
    else:
        ratios = [json.loads(line)["ratio"] for line in results.read_text().splitlines()]
        assert all(map(math.isfinite, ratios))
