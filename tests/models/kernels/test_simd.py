"""The pieces of kernels against numpy, at sizes that fill their vectors and that don't."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from models.kernels.simd import (
    LANES,
    compiled,
    exp,
    forget_stale_code,
    multiply,
    padded,
    sources,
    tanh,
)


@compiled
def curves(x: np.ndarray, tanhs: np.ndarray, exps: np.ndarray) -> None:
    for i in range(len(x)):
        tanhs[i] = tanh(x[i])
        exps[i] = exp(-abs(x[i]))


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (5, 16), (7, 33), (64, 64), (3, 144)])
def test_a_product(rows: int, inputs: int, outputs: int) -> None:
    rng = np.random.default_rng(0)
    w = np.zeros((inputs, padded(outputs)), np.float32)
    w[:, :outputs] = rng.standard_normal((inputs, outputs))
    x = rng.standard_normal((rows, inputs + 2)).astype(np.float32)
    y = rng.standard_normal((rows, padded(outputs) + 3)).astype(np.float32)
    want = y.copy()
    want[:, 3 : 3 + outputs] += (x[:, 2:] @ w)[:, :outputs]
    blocks = w.reshape(inputs, -1, LANES).transpose(1, 0, 2).reshape(-1)
    at = (0, 2, 3, x.shape[1], y.shape[1], inputs)
    multiply(blocks, x, y, at, padded(outputs), rows)
    assert np.allclose(y, want, atol=1e-5)


def test_curves_are_as_near_as_they_say() -> None:
    x = np.linspace(-12, 12, 100_001, dtype=np.float32)
    tanhs, exps = np.empty_like(x), np.empty_like(x)
    curves(x, tanhs, exps)
    exact = x.astype(np.float64)
    assert np.abs(tanhs - np.tanh(exact)).max() < 4e-7
    assert np.abs(exps / np.exp(-np.abs(exact)) - 1).max() < 2e-7


def test_curves_at_their_ends() -> None:
    x = np.array([0.0, 1e4, -1e4, np.inf, np.nan], np.float32)
    tanhs, exps = np.empty_like(x), np.empty_like(x)
    curves(x, tanhs, exps)
    assert tanhs[:4].tolist() == pytest.approx([0, 1, -1, 1], abs=4e-7)
    assert exps[0] == 1
    assert (exps[1:4] < 1e-37).all()
    assert np.isnan([tanhs[4], exps[4]]).all()


def test_what_was_kept_under_another_text_is_thrown_away(tmp_path: Path) -> None:
    lanes = tmp_path / "lanes.py"
    lanes.write_text("a")
    lanes.with_name("team.py").write_text("c")
    lanes.with_name("a_weights.py").write_text("d")
    ours, other = tmp_path / "kernel.f-1.py311.nbi", tmp_path / "another.f-1.py311.nbi"
    for text, stays in (("a", False), ("a", True), ("b", False), ("b", True)):
        lanes.write_text(text)
        ours.touch()
        other.touch()
        forget_stale_code(tmp_path, "kernel", [lanes])
        assert ours.exists() is stays
        assert other.exists()


def test_kernels_here_are_kept_under_this_text() -> None:
    kept = Path(curves.stats.cache_path)  # type: ignore[attr-defined]
    names = {path.name for path in sources()}
    assert names >= {"simd.py", "threads.py", "categorical_numba.py", "llama_weights.py"}
    text = b"".join(path.read_bytes() for path in sources())
    assert (kept / "test_simd.lanes").read_text() == hashlib.sha256(text).hexdigest()


SLOW = """
import sys
from models.kernels.simd import compiled

@compiled
def outer(x):
    total = 0.0
    for i in range(x):
        total += i * 0.5
    return total

outer(3)
print(sum(outer.stats.cache_hits.values()), sum(outer.stats.cache_misses.values()))
"""


@pytest.mark.slow
def test_processes_that_start_together_compile_once(tmp_path: Path) -> None:
    (tmp_path / "slow_kernel.py").write_text(SLOW)
    folders = [str(tmp_path), str(Path(__file__).parents[3])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(folders)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", "import slow_kernel"],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    counts = sorted(process.communicate(timeout=100)[0].strip() for process in processes)
    assert counts == ["0 1", "1 0", "1 0"]
