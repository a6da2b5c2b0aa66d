"""Activations: torch's own, and the same bits wherever in a tensor a value stands."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.engine.noise import seeded
from models.nets import activations
from models.nets.activations import Activation, Function, make_even

EACH: dict[str, tuple[Function, Function]] = {
    "silu": (activations.silu, F.silu),
    "sigmoid": (activations.sigmoid, torch.sigmoid),
    "gelu": (activations.gelu, F.gelu),
    "gelu_by_tanh": (activations.gelu_by_tanh, lambda x: F.gelu(x, approximate="tanh")),
    "quick_gelu": (activations.quick_gelu, lambda x: x * torch.sigmoid(1.702 * x)),
}
UNEVEN = {
    "silu",
    "SiLU",
    "sigmoid",
    "Sigmoid",
    "gelu",
    "GELU",
    "softplus",
    "Softplus",
    "elu",
    "ELU",
}
UNEVEN |= {"mish", "Mish", "selu", "SELU", "logsigmoid", "LogSigmoid", "glu", "GLU"}
each = pytest.mark.parametrize(("own", "torchs"), EACH.values(), ids=EACH)


@pytest.fixture(params=[1, 2, 3, 5])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def values(*shape: int) -> Tensor:
    return torch.randn(shape, generator=seeded(1)) * 4


@each
def test_they_are_torchs(own: Function, torchs: Function) -> None:
    x = values(7, 33)
    torch.testing.assert_close(own(x), torchs(x))
    assert own(x).shape == x.shape
    even = values(8, 64)
    assert torch.equal(own(even), torchs(even))
    assert own(x.bfloat16()).dtype == torch.bfloat16


@each
def test_a_value_has_the_same_bits_wherever_it_stands(
    own: Function, torchs: Function, threads: int
) -> None:
    x = values(100_003)
    whole = own(x)
    for length in (1, 7, 24, 63, 4_099, 65_551, 98_299):
        for start in (0, 5, 1_031):
            assert torch.equal(own(x[start : start + length]), whole[start : start + length])
    apart = values(3, 50, 700)[:, :, :333]  # its rows don't follow one another
    assert torch.equal(own(apart), own(apart.contiguous()))


def test_no_net_has_torchs_own() -> None:
    for path in (Path(activations.__file__).parents[1]).rglob("*.py"):
        if path != Path(activations.__file__):
            for node in ast.walk(ast.parse(path.read_text())):
                assert not isinstance(node, ast.Attribute) or node.attr not in UNEVEN, path


def test_torchs_own_have_not() -> None:
    """Else there would be no need for these."""
    x = values(10_000)
    assert not torch.equal(torch.cat([F.silu(chunk) for chunk in x.split(9)]), F.silu(x))


@each
def test_pictures_keep_their_layout(own: Function, torchs: Function) -> None:
    x = values(4, 16, 8, 8).to(memory_format=torch.channels_last)
    assert own(x).is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(own(x)[1:], own(x[1:]))


@each
def test_gradients_are_torchs_and_the_same_anywhere(own: Function, torchs: Function) -> None:
    x = values(40, 9)

    def gradient(function: Function, of: Tensor) -> Tensor:
        of = of.clone().requires_grad_()
        return torch.autograd.grad(function(of).sum(), of)[0]

    torch.testing.assert_close(gradient(own, x), gradient(torchs, x))
    apart = torch.cat([gradient(own, row) for row in x.split(1)])
    assert torch.equal(apart, gradient(own, x))


def test_other_packages_modules_are_replaced() -> None:
    from open_clip.transformer import QuickGELU

    inner = nn.Sequential(nn.Linear(3, 5), nn.GELU(approximate="tanh"))
    net = nn.Sequential(nn.SiLU(), nn.GELU(), QuickGELU(), inner, nn.ReLU())
    x = values(3, 3)
    before, names = net(x), set(net.state_dict())
    make_even(net)
    kinds = [type(m) for m in net.modules()]
    assert kinds.count(Activation) == 4
    assert not {nn.SiLU, nn.GELU, QuickGELU} & set(kinds)
    assert set(net.state_dict()) == names
    torch.testing.assert_close(net(x), before)


def test_a_net_of_diffusers_gates_evenly() -> None:
    attention = pytest.importorskip("diffusers.models.activations")
    gated: Any = attention.GEGLU(3, 9)
    net = nn.Sequential(gated)
    x = values(5, 3)
    before = net(x)
    make_even(net)
    rows = torch.cat([net(row) for row in x.split(1)])
    torch.testing.assert_close(net(x), before)
    linear = gated.proj(x)
    assert torch.equal(gated.gelu(linear)[2:], gated.gelu(linear[2:]))
    torch.testing.assert_close(rows, before)
