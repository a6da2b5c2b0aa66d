"""The fast path against the naive one, and the proof that finds a function out."""

import torch
from torch import Tensor

from models.batching import Batched, run_together
from workers.proof import prove

CPU = torch.device("cpu")


def test_rows_come_back_as_a_loop_would_give_them() -> None:
    def fn(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return a * 2, a + b

    example = (torch.zeros(3), torch.zeros(1))
    rows = [(torch.randn(3), torch.randn(1)) for _ in range(11)]
    for size in (None, 1, 4):
        run: Batched[tuple[Tensor, Tensor]] = Batched(fn, example, rows=size)
        for (a, b), (x, y) in zip(rows, run_together(run, rows, CPU), strict=True):
            assert torch.equal(x, a * 2)
            assert torch.equal(y, a + b)


def test_dtype_and_memory_format_are_the_policys() -> None:
    seen = []

    def fn(x: Tensor, label: Tensor) -> Tensor:
        seen.append((x.dtype, label.dtype, x.is_contiguous(memory_format=torch.channels_last)))
        return x

    example = (torch.zeros(3, 4, 4), torch.tensor(1))
    run: Batched[Tensor] = Batched(fn, example, dtype=torch.bfloat16, channels_last=True)
    (out,) = run_together(run, [example], CPU)
    assert seen == [(torch.bfloat16, torch.int64, True)]
    assert out.dtype == torch.float32


def test_the_proof_passes_a_function_whose_rows_are_their_own() -> None:
    net = torch.nn.Linear(8, 8).requires_grad_(False)
    run: Batched[Tensor] = Batched(net, (torch.zeros(8),))
    proof = prove((run,), CPU)
    assert proof.determinism == "bitwise"
    assert proof.seconds[run] > 0


def test_the_proof_finds_a_function_whose_rows_mix() -> None:
    def mixing(x: Tensor) -> Tensor:
        return x + x.nan_to_num().mean()

    assert prove((Batched(mixing, (torch.zeros(8),)),), CPU).determinism == "none"
