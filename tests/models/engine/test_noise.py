"""Noise is the request's own."""

import pytest
import torch

from models.engine.noise import normal, seeded
from models.params.base import MAX_SEED, item_seed


def test_draws_follow_their_seed_alone() -> None:
    torch.manual_seed(1)
    a = normal(seeded(7), 5)
    torch.manual_seed(2)
    assert torch.equal(a, normal(seeded(7), 5))
    assert not torch.equal(a, normal(seeded(8), 5))


@pytest.mark.parametrize("seed", [5, 0, 2**40])
def test_all_bits_of_a_seed_matter(seed: int) -> None:
    draws = [normal(seeded(seed ^ (1 << bit)), 4).tolist() for bit in range(53)]
    assert normal(seeded(seed), 4).tolist() not in draws
    assert len({tuple(draw) for draw in draws}) == 53


def test_item_seeds_are_in_range_apart_and_repeat_alone() -> None:
    seeds = [item_seed(MAX_SEED, i) for i in range(1000)]
    assert seeds[0] == MAX_SEED
    assert len(set(seeds)) == 1000
    assert all(0 <= s <= MAX_SEED for s in seeds)
    assert [item_seed(s, 0) for s in seeds] == seeds
