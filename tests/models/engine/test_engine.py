"""The engine over ten-line flows: no net, no queue."""

import random
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from models.artifacts import Artifact, Image
from models.engine.batching import BatchedFn, SeamError
from models.engine.engine import Advanced, Engine, Event, Failed, Finished
from models.engine.flow import Step, gather, run_alone

CPU = torch.device("cpu")
ROW = (torch.zeros(1),)


def picture(value: Tensor) -> tuple[Artifact, ...]:
    return (Image(value.reshape(1, 1, 1)),)


async def count(run: BatchedFn[Tensor], start: float, steps: int) -> tuple[Artifact, ...]:
    x = torch.tensor([float(start)])
    for i in range(steps):
        x = await Step(run, (x,), progress=(i + 1, steps), preview=lambda x: picture(x)[0])
    return picture(x)


def drain(engine: Engine) -> list[Event]:
    events: list[Event] = []
    while len(engine):
        events += engine.tick()
    return events


def level(artifact: Artifact) -> float:
    """The only pixel of a picture."""
    assert isinstance(artifact, Image)
    return artifact.pixels.item()


def ends(events: list[Event]) -> dict[Any, float | Exception]:
    results: dict[Any, float | Exception] = {}
    for event in events:
        assert not isinstance(event, Advanced) or event.id not in results
        if isinstance(event, Finished):
            results[event.id] = level(event.artifacts[0])
        elif isinstance(event, Failed):
            results[event.id] = event.error
    return results


class Calls:
    """A batched function that notes the size of each batch."""

    def __init__(self, fn: Callable[[Tensor], Tensor] = lambda x: x + 1) -> None:
        self.fn = fn
        self.sizes: list[int] = []

    def __call__(self, x: Tensor) -> Tensor:
        self.sizes.append(len(x))
        return self.fn(x)


def test_one_shot_flows_of_equal_key_share_one_batch() -> None:
    calls = Calls()
    run: BatchedFn[Tensor] = BatchedFn(calls, ROW, pad_to=None)
    engine = Engine(CPU)
    for i in range(5):
        engine.add(i, count(run, float(i), 1))
    assert ends(engine.tick()) == {i: i + 1.0 for i in range(5)}
    assert calls.sizes == [5]
    assert engine.tick() == []


def test_a_flow_joins_mid_flight_and_shares_the_rest() -> None:
    calls = Calls()
    run: BatchedFn[Tensor] = BatchedFn(calls, ROW, pad_to=None)
    engine = Engine(CPU)
    engine.add("first", count(run, 0, 4))
    engine.tick()
    engine.add("second", count(run, 10, 3))
    assert ends(drain(engine)) == {"first": 4.0, "second": 13.0}
    assert calls.sizes == [1, 2, 2, 2]


def test_batches_are_padded_to_their_fixed_rows() -> None:
    calls = Calls()
    run: BatchedFn[Tensor] = BatchedFn(calls, ROW, pad_to=4)
    engine = Engine(CPU)
    for i in range(6):
        engine.add(i, count(run, float(i), 1))
    drain(engine)
    assert calls.sizes == [4, 4]


def test_other_shapes_and_other_models_never_share() -> None:
    calls = Calls()
    one: BatchedFn[Tensor] = BatchedFn(calls, ROW, pad_to=None)
    two: BatchedFn[Tensor] = BatchedFn(calls, ROW, pad_to=None)

    async def wide() -> tuple[Artifact, ...]:
        return picture((await Step(one, (torch.zeros(2),))).sum())

    engine = Engine(CPU)
    engine.add("a", count(one, 0, 1))
    engine.add("b", count(two, 0, 1))
    engine.add("c", wide())
    drain(engine)
    assert calls.sizes == [1, 1, 1]


def test_together_waits_for_all_of_its_rows() -> None:
    calls = Calls()
    run: BatchedFn[Tensor] = BatchedFn(calls, ROW, pad_to=None)
    other: BatchedFn[Tensor] = BatchedFn(lambda x: x * 2, ROW, pad_to=None)

    async def story() -> tuple[Artifact, ...]:
        a, b, c = await gather(
            Step(run, (torch.tensor([1.0]),)),
            Step(other, (torch.tensor([10.0]),)),
            Step(run, (torch.tensor([2.0]),)),
        )
        return picture(a * 10000 + b * 100 + c)

    engine = Engine(CPU)
    engine.add("x", story())
    assert ends(drain(engine)) == {"x": 22003.0}
    assert calls.sizes == [2]
    assert level(run_alone(story())[0]) == 22003.0


def test_progress_and_previews_come_with_each_step() -> None:
    run: BatchedFn[Tensor] = BatchedFn(lambda x: x + 0.25, ROW)
    engine = Engine(CPU)
    engine.add("x", count(run, 0, 3))
    seen = [e for e in drain(engine) if isinstance(e, Advanced)]
    assert [e.progress for e in seen] == [(1, 3), (2, 3), (3, 3)]
    assert [level(e.preview()) for e in seen if e.preview] == [0.25, 0.5, 0.75]


def test_deltas_arrive_in_order() -> None:
    run: BatchedFn[Tensor] = BatchedFn(lambda x: x, ROW)

    async def story() -> tuple[Artifact, ...]:
        for word in ("once ", "upon ", "a time"):
            x = await Step(run, ROW, delta=word)
        return picture(x)

    engine = Engine(CPU)
    engine.add("x", story())
    deltas = [e.delta for e in drain(engine) if isinstance(e, Advanced)]
    assert deltas == ["once ", "upon ", "a time"]


def poison(x: Tensor) -> Tensor:
    if (x == 13).any():
        raise ValueError("unlucky")
    return x + 1


@pytest.mark.parametrize("rows", [None, 1, 4])
def test_a_poison_row_fails_alone(rows: int | None) -> None:
    run: BatchedFn[Tensor] = BatchedFn(poison, ROW, pad_to=rows)
    engine = Engine(CPU)
    for i in range(10, 17):
        engine.add(i, count(run, float(i), 1))
    results = ends(drain(engine))
    assert isinstance(results.pop(13), ValueError)
    assert results == {i: i + 1.0 for i in range(10, 17) if i != 13}


def test_out_of_memory_halves_the_batch_until_it_fits() -> None:
    def small_only(x: Tensor) -> Tensor:
        if len(x) > 2:
            raise torch.OutOfMemoryError("no room")
        return x + 1

    calls = Calls(small_only)
    run: BatchedFn[Tensor] = BatchedFn(calls, ROW, pad_to=None)
    engine = Engine(CPU)
    for i in range(8):
        engine.add(i, count(run, float(i), 1))
    assert ends(drain(engine)) == {i: i + 1.0 for i in range(8)}
    assert calls.sizes == [8, 4, 2, 2, 4, 2, 2]


def test_a_try_without_memory_gives_its_tensors_back_before_the_next() -> None:
    left: list[weakref.ref[Tensor]] = []
    alive: list[int] = []

    def small_only(x: Tensor) -> Tensor:
        alive.append(sum(ref() is not None for ref in left))
        activations = x * 2
        left.append(weakref.ref(activations))
        if len(x) > 1:
            raise torch.OutOfMemoryError("no room")
        return x + 1

    run: BatchedFn[Tensor] = BatchedFn(small_only, ROW, pad_to=None)
    engine = Engine(CPU)
    for i in range(4):
        engine.add(i, count(run, float(i), 1))
    assert ends(engine.tick()) == {i: i + 1.0 for i in range(4)}
    assert alive == [0] * 7


def test_a_row_that_never_fits_fails_alone() -> None:
    def full(x: Tensor) -> Tensor:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    run: BatchedFn[Tensor] = BatchedFn(full, ROW)
    engine = Engine(CPU)
    engine.add("x", count(run, 0, 1))
    assert isinstance(ends(drain(engine))["x"], RuntimeError)


def test_a_lost_device_is_nobodys_fault_and_ends_the_engine() -> None:
    def lost(x: Tensor) -> Tensor:
        raise torch.AcceleratorError("illegal memory access")

    run: BatchedFn[Tensor] = BatchedFn(lost, ROW)
    engine = Engine(CPU)
    engine.add("x", count(run, 0, 1))
    with pytest.raises(torch.AcceleratorError):
        engine.tick()


class Slots:
    """The smallest thing a flow can hold."""

    def __init__(self) -> None:
        self.taken = 0

    def __enter__(self) -> "Slots":
        self.taken += 1
        return self

    def __exit__(self, *_: object) -> None:
        self.taken -= 1


async def holding(slots: Slots, run: BatchedFn[Tensor], steps: int) -> tuple[Artifact, ...]:
    with slots:
        return await count(run, 0, steps)


@pytest.mark.parametrize("ticks", range(4))
def test_cancel_at_any_step_gives_back_what_the_flow_holds(ticks: int) -> None:
    slots = Slots()
    run: BatchedFn[Tensor] = BatchedFn(lambda x: x + 1, ROW)
    engine = Engine(CPU)
    engine.add("x", holding(slots, run, 4))
    engine.add("y", holding(slots, run, 5))
    for _ in range(ticks):
        engine.tick()
    engine.cancel("x")
    assert slots.taken == 1
    assert ends(drain(engine)) == {"y": 5.0}
    assert slots.taken == 0
    engine.cancel("x")


def test_a_failing_flow_gives_back_what_it_holds() -> None:
    slots = Slots()
    run: BatchedFn[Tensor] = BatchedFn(poison, ROW)
    engine = Engine(CPU)

    async def story() -> tuple[Artifact, ...]:
        with slots:
            return await count(run, 12, 5)

    engine.add("x", story())
    assert isinstance(ends(drain(engine))["x"], ValueError)
    assert slots.taken == 0


async def awaits_asyncio() -> tuple[Artifact, ...]:
    import asyncio

    await asyncio.sleep(0)
    return ()


async def returns_nothing() -> None:
    return None


async def makes_its_own_batched() -> tuple[Artifact, ...]:
    return picture(await Step(BatchedFn(lambda x: x, ROW), ROW))


async def passes_a_closure() -> tuple[Artifact, ...]:
    return picture(await Step(lambda x: x, ROW))  # type: ignore[arg-type]


async def makes_infinity() -> tuple[Artifact, ...]:
    return picture(torch.tensor(float("inf")))


@pytest.mark.parametrize(
    ("story", "error"),
    [
        (awaits_asyncio, SeamError),
        (returns_nothing, SeamError),
        (makes_its_own_batched, SeamError),
        (passes_a_closure, SeamError),
        (makes_infinity, ValueError),
    ],
)
def test_a_breach_of_the_seam_fails_that_flow_alone(story: Any, error: type) -> None:
    run: BatchedFn[Tensor] = BatchedFn(lambda x: x + 1, ROW)
    engine = Engine(CPU)
    engine.add("good", count(run, 0, 2))
    events = engine.add("bad", story())
    assert isinstance(ends(events)["bad"], error)
    assert ends(drain(engine)) == {"good": 2.0}


@pytest.mark.parametrize("out", [lambda x: x[:1], lambda x: x.sum(), lambda x: "no"])
def test_a_run_must_return_as_many_rows_as_it_was_given(out: Any) -> None:
    run: BatchedFn[Tensor] = BatchedFn(out, ROW, pad_to=3)
    engine = Engine(CPU)
    engine.add("x", count(run, 0, 1))
    assert isinstance(ends(drain(engine))["x"], SeamError)


def test_a_grad_run_sees_gradients_though_flows_do_not() -> None:
    def slope(x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.requires_grad_()
        (grad,) = torch.autograd.grad((x**3).sum(), x)
        return grad, x

    run: BatchedFn[tuple[Tensor, Tensor]] = BatchedFn(slope, ROW, grad=True)

    async def story() -> tuple[Artifact, ...]:
        assert torch.is_inference_mode_enabled()
        grad, x = await Step(run, (torch.tensor([2.0]),))
        assert not x.requires_grad
        return picture(grad)

    engine = Engine(CPU)
    engine.add("x", story())
    assert ends(drain(engine)) == {"x": 12.0}


def test_random_joins_cancels_and_nan_neighbours_never_move_a_bit() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(1, 64), torch.nn.Tanh(), torch.nn.Linear(64, 1))
    net.requires_grad_(False)
    run: BatchedFn[Tensor] = BatchedFn(net, ROW)
    chance = random.Random(7)
    expected = {i: level(run_alone(count(run, i / 7, 1 + i % 5))[0]) for i in range(60)}
    engine, results, todo = Engine(CPU), {}, list(range(60))
    chance.shuffle(todo)
    while todo or len(engine):
        for _ in range(chance.randrange(4)):
            if todo:
                i = todo.pop()
                engine.add(i, count(run, i / 7, 1 + i % 5))
                engine.add(("nan", i), count(run, float("nan"), 3))
                if chance.random() < 0.5:
                    engine.cancel(("nan", i))
        results |= ends(engine.tick())
    for i, value in expected.items():
        assert results[i] == value
