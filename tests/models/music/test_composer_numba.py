"""A composer's step as machine code against its net, whole and step by step."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models.kernels import categorical
from models.kernels.simd import Floats, Weights
from models.music.composer_numba import draw, next_logits
from models.music.composer_weights import TILE, empty, packed
from models.nets.composer import Cache, ComposerModel

FACTS = [3, 4]
NETS: dict[str, dict[str, Any]] = {
    "odd": {"vocabulary": 11, "width": 24, "heads": 4, "groups": 2, "inner": 21},
    "whole": {"vocabulary": 64, "width": 64, "heads": 2, "groups": 1, "inner": 48},
}
SLOTS = [2, 4, 1]  # of the rows of `piece`
Step = Callable[..., Tensor]


def net_of(kind: str, window: int = 5) -> ComposerModel:
    torch.manual_seed(0)
    built = ComposerModel(facts=FACTS, layers=2, window=window, **NETS[kind])
    return built.eval().requires_grad_(False)


def halved(net: ComposerModel) -> ComposerModel:
    for parameter in net.parameters():
        parameter.copy_(parameter.bfloat16())
    return net


def piece(net: ComposerModel, count: int, rows: int = 3) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(1)
    tokens = torch.randint(net.vocabulary, (rows, count), generator=rng)
    return tokens, torch.stack([torch.randint(n, tokens.shape, generator=rng) for n in FACTS], 2)


def stepped(net: ComposerModel, run: Step, cache: Cache, inputs: tuple[Tensor, Tensor]) -> Tensor:
    """Logits (B, T, vocabulary), each token by itself."""
    tokens, facts = inputs
    logits, slots = [], torch.tensor(SLOTS)
    for at in range(tokens.shape[1]):
        x = net.begun(tokens[:, at], facts[:, at])
        logits.append(run(x, torch.full_like(slots, at), slots, cache))
    return torch.stack(logits, 1)


def by_kernel(net: ComposerModel, inputs: tuple[Tensor, Tensor]) -> tuple[Tensor, Cache]:
    weights = packed(net)
    cache = empty(weights, 5)
    return stepped(net, partial(next_logits, weights), cache, inputs), cache


@pytest.mark.parametrize("kind", NETS)
@pytest.mark.parametrize("window", [1, 5, TILE + 3])
def test_steps_give_what_the_whole_does(kind: str, window: int) -> None:
    """Far beyond the window, and as the plain steps do."""
    net = net_of(kind, window)
    inputs = piece(net, 2 * window + 9)
    logits, cache = by_kernel(net, inputs)
    plain = stepped(net, net.step, net.empty(5), inputs)
    scale = plain.std()
    assert scale > 0.5
    assert torch.allclose(logits / scale, net(*inputs) / scale, rtol=0, atol=1e-5)
    assert torch.allclose(logits / scale, plain / scale, rtol=0, atol=1e-5)
    for cached in (cache.keys, cache.values):
        assert not cached[[0, 3]].any()


@pytest.mark.slow
@pytest.mark.parametrize("kind", NETS)
def test_upper_halves_change_no_bit(kind: str) -> None:
    net = halved(net_of(kind))
    inputs = piece(net, 12)
    weights = packed(net)
    assert weights.take.dtype == np.uint16
    logits, _ = by_kernel(net, inputs)
    same = weights._replace(
        take=whole(weights.take),
        give=whole(weights.give),
        open=whole(weights.open),
        close=whole(weights.close),
        out=whole(weights.out),
    )
    assert torch.equal(stepped(net, partial(next_logits, same), empty(same, 5), inputs), logits)


def whole(halves: Weights) -> Floats:
    return (halves.astype(np.uint32) << 16).view(np.float32)


def test_weights_that_have_more_to_them_stay_whole() -> None:
    net = halved(net_of("odd"))
    net.embed.weight[3, 3] = 0.1
    assert packed(net).take.dtype == np.float32


@pytest.fixture(params=[1, 2, 3, 16])
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


def asked(net: ComposerModel, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The next token of so many rows, each with another number before it, in slots 1 and on."""
    tokens, facts = piece(net, 1, count)
    at, slot = torch.arange(count) * 11, torch.arange(count) + 1
    return net.begun(tokens[:, 0], facts[:, 0]), at, slot


@pytest.mark.slow
@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("half", [False, True])
def test_a_row_keeps_its_bits_in_any_company(half: bool) -> None:
    net = net_of("odd", TILE + 3)
    weights, rows = packed(halved(net) if half else net), asked(net, 9)
    rng = torch.Generator().manual_seed(2)
    begun = Cache(
        *(torch.randn(tensor.shape, generator=rng) for tensor in _parts(empty(weights, 10)))
    )
    begun.values[4] = torch.nan

    def run(chosen: list[int]) -> tuple[Tensor, Cache]:
        cache = Cache(*(tensor.clone() for tensor in _parts(begun)))
        x, at, slot = (column[chosen] for column in rows)
        return next_logits(weights, x, at, slot, cache), cache

    alone = [run([row]) for row in range(9)]
    for chosen in ([0, 1], [2, 1, 0], [4, 3, 5, 7], [8, 3, 6, 2, 0], list(range(9))):
        logits, cache = run(chosen)
        for index, row in enumerate(chosen):
            want, kept = alone[row]
            assert torch.equal(logits[index].nan_to_num(9.0), want[0].nan_to_num(9.0))
            for got, own in zip(_parts(cache), _parts(kept), strict=True):
                assert torch.equal(got[row + 1].nan_to_num(9.0), own[row + 1].nan_to_num(9.0))
    assert [row_logits.isnan().any().item() for row_logits, _ in alone] == [
        row == 3 for row in range(9)
    ]


def _parts(cache: Cache) -> tuple[Tensor, Tensor]:
    return cache.keys, cache.values


def test_what_the_net_is_changed_to_later_is_not_seen() -> None:
    net = net_of("odd")
    weights, rows = packed(net), asked(net, 1)
    first = next_logits(weights, *rows, empty(weights, 2))
    for parameter in net.parameters():
        parameter.zero_()
    assert torch.equal(next_logits(weights, *rows, empty(weights, 2)), first)


def test_draws_are_those_of_the_plain_steps() -> None:
    rng = torch.Generator().manual_seed(4)
    logits = torch.randn(200, 37, generator=rng).masked_fill(
        torch.rand(200, 37, generator=rng) < 0.4, -torch.inf
    )
    u = torch.rand(200, generator=rng)
    heat, top_p = 0.5 + torch.rand(200, generator=rng), torch.rand(200, generator=rng)
    top_p[::2] = 1.0
    logits[7, 5], u[9] = torch.nan, torch.nan
    for got, want in zip(
        draw(logits, u, heat, top_p), categorical.draw(logits, u, heat, top_p), strict=True
    ):
        assert torch.equal(got, want)


@pytest.mark.parametrize("u", [0.0, 1 - 2**-24])
def test_what_must_not_follow_is_never_drawn(u: float) -> None:
    logits = torch.full((1, 37), -torch.inf)
    logits[0, 3:30] = torch.linspace(-1, 1, 27)
    one = torch.ones(1)
    number, sound = draw(logits, torch.tensor([u]), one, one)
    assert sound
    assert number.item() == (3 if u == 0 else 29)
