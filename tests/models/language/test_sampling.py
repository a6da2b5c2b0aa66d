"""Draws of tokens: held to transformers' warpers, to frequencies, and to what can't be drawn."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from models.language.sampling import Choice, Draw, drawn, sampling_row
from models.language.sampling import choose as choose_by
from models.language.sampling_numba import TokenKernel
from models.params.text import LanguageParams
from models.params.token_sampling import LIKELIEST

Choose = Callable[[Tensor, Tensor, Tensor], Choice]
V = 1500
WAYS = {"plain": lambda v: drawn, "kernel": lambda v: TokenKernel(v).drawn}


@pytest.fixture(params=WAYS)
def choose(request: pytest.FixtureRequest) -> Choose:
    def way(logits: Tensor, seen: Tensor, rows: Tensor) -> Choice:
        draw: Draw = WAYS[request.param](logits.shape[1])
        return choose_by(logits.contiguous(), seen, rows, draw)

    return way


def turned(uniform: float = 0.5, **params: object) -> Tensor:
    params_model = LanguageParams.model_validate({"prompt": "x", "top_p": 1.0, **params})
    return sampling_row(params_model, torch.tensor(uniform))


def chosen(choose: Choose, logits: Tensor, *rows: Tensor, seen: Tensor | None = None) -> Tensor:
    many = logits.expand(len(rows), -1)
    seen = torch.zeros(len(rows), logits.shape[-1], dtype=torch.bool) if seen is None else seen
    return choose(many, seen, torch.stack(rows))[0]


def theirs(logits: Tensor, seen: Tensor, **params: float) -> Tensor:
    """The probabilities that transformers' generate draws from."""
    makers: dict[str, Callable[[float], Any]] = {
        "repetition_penalty": lambda x: RepetitionPenaltyLogitsProcessor(float(x)),
        "temperature": lambda x: TemperatureLogitsWarper(float(x)),
        "top_k": lambda x: TopKLogitsWarper(int(x)),
        "top_p": lambda x: TopPLogitsWarper(float(x)),
        "min_p": lambda x: MinPLogitsWarper(float(x)),
    }
    steps = LogitsProcessorList([make(params[k]) for k, make in makers.items() if k in params])
    tokens: Any = seen.nonzero().T
    return torch.softmax(steps(tokens, logits[None]), 1)[0]


@pytest.mark.parametrize(
    "params",
    [
        {"temperature": 0.7},
        {"temperature": 1.3, "top_k": 40},
        {"temperature": 1.0, "top_p": 0.9},
        {"temperature": 2.0, "top_p": 0.999},
        {"temperature": 1.0, "top_k": 300, "top_p": 0.8, "min_p": 0.01},
        {"temperature": 0.9, "min_p": 0.1, "repetition_penalty": 1.5},
    ],
)
def test_it_draws_from_what_transformers_draws_from(
    choose: Choose, params: dict[str, float]
) -> None:
    logits = torch.randn(V, generator=torch.Generator().manual_seed(3)) * 2
    seen = torch.zeros(V, dtype=torch.bool)
    seen[logits.topk(5).indices] = True
    p = theirs(logits, seen, **params).double()
    cumulated = p.cumsum(0)
    uniforms = [i / 400 for i in range(400)]
    rows = [turned(u, **params) for u in uniforms]
    got = chosen(choose, logits, *rows, seen=seen.expand(400, -1))
    want = torch.searchsorted(cumulated, torch.tensor(uniforms, dtype=torch.float64), right=True)
    assert (p[got] > 0).all()
    assert (got != want).sum() <= 2  # a uniform may fall on a boundary that rounds either way


def test_a_temperature_of_none_takes_the_likeliest_and_heeds_the_penalty(choose: Choose) -> None:
    logits = torch.tensor([0.0, 3.0, 2.9, -1.0])
    seen = torch.tensor([[False, True, False, False]])
    greedy = turned(temperature=0.0)
    assert chosen(choose, logits, greedy).tolist() == [1]
    warned = turned(temperature=0.0, repetition_penalty=1.2)
    assert chosen(choose, logits, warned, seen=seen).tolist() == [2]


def test_a_row_draws_alike_in_any_company(choose: Choose) -> None:
    logits = torch.randn(3, V, generator=torch.Generator().manual_seed(4))
    rows = torch.stack([turned(0.3), turned(0.6, top_p=0.5), turned(temperature=0.0)])
    seen = torch.zeros(3, V, dtype=torch.bool)
    together = choose(logits, seen, rows)
    alone = [choose(logits[i : i + 1], seen[:1], rows[i : i + 1]) for i in range(3)]
    for drawn_together, parts in zip(together, zip(*alone, strict=True), strict=True):
        assert torch.equal(drawn_together, torch.cat(parts))


def test_log_probabilities_are_the_models_own(choose: Choose) -> None:
    logits = torch.randn(1, V, generator=torch.Generator().manual_seed(5))
    seen = torch.ones(1, V, dtype=torch.bool)
    asked = turned(temperature=0.5, repetition_penalty=2.0, logprobs=3)[None]
    token, chance, likeliest, chances = choose(logits, seen, asked)
    every = torch.log_softmax(logits[0], 0)
    assert torch.equal(chance, every[token])
    assert torch.equal(chances[0], every[likeliest[0]])
    assert torch.equal(likeliest[0], every.topk(LIKELIEST).indices)
    few = choose(torch.zeros(1, 4), seen[:, :4], asked)
    assert few[3].isfinite().sum() == 4


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_where_nothing_can_be_drawn_it_says_so(choose: Choose, bad: float) -> None:
    logits = torch.zeros(1, 8)
    logits[0, 3] = bad
    seen = torch.zeros(1, 8, dtype=torch.bool)
    for row in (turned(), turned(temperature=0.0), turned(logprobs=0)):
        assert choose(logits, seen, row[None])[1].isnan().all()
    none = torch.full_like(turned(), torch.nan)
    assert choose(torch.zeros(1, 8), seen, none[None])[1].isnan().all()


def test_what_is_impossible_is_never_drawn(choose: Choose) -> None:
    logits = torch.full((6,), -torch.inf)
    logits[2] = logits[4] = 1.0
    rows = [turned(u) for u in (0.0, 0.4999, 0.5001, 0.9999999)]
    assert chosen(choose, logits, *rows).tolist() == [2, 2, 4, 4]


@pytest.mark.parametrize("spread", [0.5, 3.0, 30.0])
@pytest.mark.parametrize(
    "params",
    [
        {"temperature": 0.6, "top_p": 0.9, "repetition_penalty": 1.1},
        {"temperature": 1.7, "top_k": 7},
        {"temperature": 1.0, "top_k": V, "top_p": 0.5, "min_p": 0.001},
        {"temperature": 0.05},
        {"temperature": 0.0, "repetition_penalty": 0.7},
    ],
)
def test_the_kernel_draws_what_is_drawn_plainly(params: dict[str, float], spread: float) -> None:
    chance = torch.Generator().manual_seed(6)
    kernel, differ = TokenKernel(V), 0
    for _ in range(60):
        logits = (torch.randn(V, generator=chance) * spread).round(decimals=2)  # so some are alike
        seen = torch.rand(V, generator=chance) < 0.1
        row = turned(float(torch.rand((), generator=chance)), **params)[None]
        (plain, *_), (fast, *_) = (
            choose_by(logits[None], [seen], row, way) for way in (drawn, kernel.drawn)
        )
        differ += int(plain != fast)
    assert differ <= 1  # a uniform may fall on a boundary that rounds either way


HOSTILE = """
import torch
from models.language.sampling import SamplingParams, drawn
from models.language.sampling_numba import TokenKernel

chance = torch.Generator().manual_seed(1)
kernel, odd = TokenKernel(300), (torch.nan, torch.inf, -torch.inf, 0.0, -3.0, 1e-40, 1e30, 0.5)
for number in range(400):
    logits = torch.randn(300, generator=chance) * 10
    values = torch.randn(7, generator=chance).tolist()
    if number % 2:
        values[number // 2 % 7] = odd[number // 14 % 8]
    seen, turned = torch.rand(300, generator=chance) < 0.3, SamplingParams(*values)
    token, sound = kernel.drawn(logits, seen, turned)
    assert 0 <= int(token) < 300, turned
    if not number % 2 and turned.temperature <= 0:
        assert not sound and not drawn(logits, seen, turned)[1], turned
print("held")
"""


@pytest.mark.slow
def test_whatever_a_row_asks_for_the_kernel_stays_within_its_bounds(tmp_path: Path) -> None:
    """A model is proved beside rows of any numbers; here every index is looked at."""
    checked = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", HOSTILE],
        env=os.environ | checked,
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "held\n"), done.stderr[-2000:]
