"""Mixed precision is for devices that have bfloat16 of their own."""

import pytest
import torch

from training.optim.amp import has_bfloat16, mixed

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("able", "expected"),
    [
        ({"avx2": True, "avx512_bf16": False}, False),
        ({"avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, False),
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"bf16": True}, True),  # of ARM
        ({}, False),
    ],
)
def test_a_processor_without_bfloat16_of_its_own_trains_in_single_precision(
    monkeypatch: pytest.MonkeyPatch, able: dict[str, bool], expected: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert has_bfloat16(CPU) is expected
    with mixed(CPU):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == (torch.bfloat16 if expected else torch.float32)


def test_a_torch_that_can_not_tell_trains_in_single_precision(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert not has_bfloat16(CPU)


def test_a_graphics_processor_always_has_it() -> None:
    assert has_bfloat16(torch.device("cuda"))
