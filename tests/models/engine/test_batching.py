"""The fast path against the naive one, and the proof that finds a function out."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from models.engine.batching import BatchedFn, run_together
from models.engine.determinism import check_determinism

CPU = torch.device("cpu")


def test_rows_come_back_as_a_loop_would_give_them() -> None:
    def fn(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return a * 2, a + b

    example = (torch.zeros(3), torch.zeros(1))
    rows = [(torch.randn(3), torch.randn(1)) for _ in range(11)]
    for size in (None, 1, 4):
        run: BatchedFn[tuple[Tensor, Tensor]] = BatchedFn(fn, example, pad_to=size)
        for (a, b), (x, y) in zip(rows, run_together(run, rows, CPU), strict=True):
            assert torch.equal(x, a * 2)
            assert torch.equal(y, a + b)


def test_dtype_and_memory_format_are_the_policys() -> None:
    seen = []

    def fn(x: Tensor, label: Tensor) -> Tensor:
        seen.append((x.dtype, label.dtype, x.is_contiguous(memory_format=torch.channels_last)))
        return x

    example = (torch.zeros(3, 4, 4), torch.tensor(1))
    run: BatchedFn[Tensor] = BatchedFn(fn, example, dtype=torch.bfloat16, channels_last=True)
    (out,) = run_together(run, [example], CPU)
    assert seen == [(torch.bfloat16, torch.int64, True)]
    assert out.dtype == torch.float32


def test_the_proof_passes_a_function_whose_rows_are_their_own() -> None:
    net = torch.nn.Linear(8, 8).requires_grad_(False)
    run: BatchedFn[Tensor] = BatchedFn(net, (torch.zeros(8),))
    proof = check_determinism((run,), CPU)
    assert proof.determinism == "bitwise"
    assert proof.seconds[run] > 0


def test_the_proof_finds_a_function_whose_rows_mix() -> None:
    def mixing(x: Tensor) -> Tensor:
        return x + x.nan_to_num().mean()

    assert check_determinism((BatchedFn(mixing, (torch.zeros(8),)),), CPU).determinism == "none"


@pytest.mark.parametrize(("own", "determinism"), [(True, "bitwise"), (False, "none")])
def test_no_number_is_as_good_an_answer_as_any_if_it_does_not_depend_on_others(
    own: bool, determinism: str
) -> None:
    """A probe has any numbers: a function may have nothing to say of them."""

    def picky(x: Tensor) -> Tensor:
        odd = torch.full_like(x, torch.nan)
        return odd if own or x.isnan().any() else x

    assert check_determinism((BatchedFn(picky, (torch.zeros(8),)),), CPU).determinism == determinism


def sizes_and(limit: int, sizes: list[int]) -> Callable[[Tensor], Tensor]:
    """A function that notes its batches, and rounds otherwise in those above a limit."""

    def fn(x: Tensor) -> Tensor:
        sizes.append(len(x))
        return x * 2 if len(x) <= limit else x * 2 + 1e-6

    return fn


def test_more_rows_than_the_fixed_batch_run_at_once_up_to_the_most() -> None:
    sizes: list[int] = []
    run: BatchedFn[Tensor] = BatchedFn(
        sizes_and(99, sizes), (torch.zeros(1),), pad_to=4, max_batch=10
    )
    rows = [(torch.tensor([float(i)]),) for i in range(23)]
    results = run_together(run, rows, CPU)
    assert sizes == [10, 10, 4], "the rest is padded to the fixed size, and no further"
    assert [r.item() for r in results] == [2.0 * i for i in range(23)]


@pytest.mark.parametrize(("limit", "most"), [(99, 10), (10, 10), (9, None), (6, None), (4, None)])
def test_the_proof_narrows_a_function_whose_larger_batches_round_otherwise(
    limit: int, most: int | None
) -> None:
    run: BatchedFn[Tensor] = BatchedFn(
        sizes_and(limit, []), (torch.ones(8),), pad_to=4, max_batch=10
    )
    assert check_determinism((run,), CPU).determinism == "bitwise"
    assert run.max_batch == most


@pytest.mark.parametrize("position", range(7))
def test_a_larger_batch_that_rounds_otherwise_at_any_position_is_limited(position: int) -> None:
    def fn(x: Tensor) -> Tensor:
        out = x * 2
        if len(x) == 7:
            out[position] += 1e-6
        return out

    run: BatchedFn[Tensor] = BatchedFn(fn, (torch.ones(8),), pad_to=4, max_batch=8)
    assert check_determinism((run,), CPU).determinism == "bitwise"
    assert run.max_batch is None


@pytest.mark.parametrize(("count", "batches"), [(1, [4]), (4, [4]), (6, [4, 4])])
def test_rows_of_another_shape_than_the_example_are_padded_with_their_own(
    count: int, batches: list[int]
) -> None:
    sizes: list[int] = []
    run: BatchedFn[Tensor] = BatchedFn(
        sizes_and(99, sizes), (torch.zeros(2, 2),), pad_to=4, max_batch=10
    )
    rows = [(torch.full((3, 5), float(i)),) for i in range(count)]
    results = run_together(run, rows, CPU)
    assert sizes == batches, "more at once were only proved of the example's shape"
    assert all(torch.equal(r, row[0] * 2) for r, row in zip(results, rows, strict=True))


def test_a_row_of_another_shape_keeps_its_bits_beside_a_poisoned_one() -> None:
    torch.manual_seed(0)
    net = torch.nn.Conv2d(3, 8, 3).requires_grad_(False)
    run: BatchedFn[Tensor] = BatchedFn(net, (torch.zeros(3, 8, 8),))
    row, poison = (torch.randn(3, 12, 6),), (torch.full((3, 12, 6), torch.nan),)
    (alone,) = run_together(run, [row], CPU)
    assert torch.equal(run_together(run, [poison, row], CPU)[1], alone)


@pytest.mark.parametrize(("rows", "calls"), [(1, 5), (4, 16)])
def test_little_is_asked_for_the_proof_of_rows_that_run_one_at_a_time(
    rows: int, calls: int
) -> None:
    """A row of a large model takes seconds."""
    seen: list[int] = []
    run: BatchedFn[Tensor] = BatchedFn(sizes_and(99, seen), (torch.ones(8),), pad_to=rows)
    assert check_determinism((run,), CPU).determinism == "bitwise"
    assert len(seen) <= calls


def test_the_proof_finds_a_function_that_remembers_the_row_before() -> None:
    remembered = [torch.zeros(1, 8)]

    def remembering(x: Tensor) -> Tensor:
        before, remembered[0] = remembered[0], x
        return x + before

    assert (
        check_determinism((BatchedFn(remembering, (torch.zeros(8),), pad_to=1),), CPU).determinism
        == "none"
    )


def test_the_most_is_no_less_than_the_fixed_batch() -> None:
    with pytest.raises(ValueError, match="max_batch"):
        BatchedFn(lambda x: x, (torch.zeros(1),), pad_to=4, max_batch=3)
