"""The linear predictor on sound whose cost is known."""

import math

import pytest
import torch

from training.metrics.audio.linear_predictor import fitted, linear_bits


def rows(kind: str, count: int, seed: int = 0) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    if kind == "noise":
        return torch.randint(256, (count, 3000), generator=rng).byte()
    t = torch.arange(3000) + 100 * torch.rand(count, 1, generator=rng)
    return (127.5 + 100 * torch.sin(0.05 * t)).round().byte()


def test_a_tone_costs_little_and_noise_all_there_is() -> None:
    style = torch.zeros(8, dtype=torch.long)
    tone = linear_bits((rows("tone", 8), style), (rows("tone", 8, 1), style))
    assert tone < 2.5  # of rounding
    noise = linear_bits((rows("noise", 8), style), (rows("noise", 8, 1), style))
    assert noise > 8


def test_each_style_has_a_predictor_of_its_own() -> None:
    both = torch.cat([rows("tone", 8), rows("noise", 8)])
    style = torch.arange(2).repeat_interleave(8)
    apart = linear_bits((both, style), (rows("tone", 4, 1), torch.zeros(4).long()))
    mixed = linear_bits((both, 0 * style), (rows("tone", 4, 1), torch.zeros(4).long()))
    assert apart < mixed - 1


def test_the_weights_are_those_of_the_law_that_made_the_sound() -> None:
    weight = fitted(rows("tone", 16), 256)
    tone = torch.sin(0.05 * torch.arange(33.0))
    assert float(tone[:32] @ weight) == pytest.approx(math.sin(0.05 * 32), abs=0.02)
