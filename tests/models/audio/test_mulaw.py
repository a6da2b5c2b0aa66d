"""Mu-law against its closed form, at its ends, and there and back."""

import math

import pytest
import torch

from models.audio.mulaw import compress, decode, encode, expand


@pytest.mark.parametrize("classes", [16, 256])
def test_it_is_the_closed_form(classes: int) -> None:
    mu = classes - 1
    x = torch.linspace(-1, 1, 1001, dtype=torch.float64)
    known = [math.copysign(math.log(1 + mu * abs(v)) / math.log(1 + mu), v) for v in x.tolist()]
    assert torch.allclose(compress(x, classes), torch.tensor(known, dtype=torch.float64))
    assert torch.allclose(expand(compress(x, classes), classes), x, atol=1e-12)


@pytest.mark.parametrize("classes", [16, 256])
def test_there_and_back_is_within_half_a_step(classes: int) -> None:
    x = torch.linspace(-1, 1, 4001, dtype=torch.float64)
    back = decode(encode(x, classes), classes).double()
    step = 2 / (classes - 1)  # on the scale
    assert ((compress(back, classes) - compress(x, classes)).abs() <= step / 2 + 1e-6).all()


def test_every_class_comes_back_as_it_went() -> None:
    every = torch.arange(256)
    assert torch.equal(encode(decode(every)), every)
    assert (decode(every).diff() > 0).all()


def test_the_ends_and_the_middle() -> None:
    assert encode(torch.tensor([-1.0, 0.0, 1.0])).tolist() == [0, 128, 255]
    assert decode(torch.tensor([0, 255])).tolist() == [-1.0, 1.0]
    assert abs(decode(torch.tensor(128)).item()) < 1e-4


def test_half_as_loud_is_an_eighth_of_the_scale_less() -> None:
    """ln 2 / ln 256: what the law is for, the same steps for quiet as for loud."""
    loud = compress(torch.tensor([1.0, 0.5, 0.25]))
    assert loud.diff().neg().tolist() == pytest.approx([1 / 8, 1 / 8], abs=2e-3)


@pytest.mark.parametrize("sample", [1.001, -2.0, math.inf, math.nan])
def test_what_is_too_loud_or_no_number_is_refused(sample: float) -> None:
    with pytest.raises(ValueError, match="between -1 and 1"):
        encode(torch.tensor([0.0, sample]))


@pytest.mark.parametrize("number", [-1, 256])
def test_a_class_that_is_not_there_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="between 0 and 255"):
        decode(torch.tensor([number]))
