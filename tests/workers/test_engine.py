"""The engine over ten-line flows: no net, no queue."""

import random
import weakref
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from models.artifacts import Artifact, Image
from models.batching import Batched, SeamError
from models.flow import Step, run_alone, together
from workers.engine import Advanced, Engine, Event, Failed, Finished

CPU = torch.device("cpu")
ROW = (torch.zeros(1),)


def picture(value: Tensor) -> tuple[Artifact, ...]:
    return (Image(value.reshape(1, 1, 1)),)


async def count(run: Batched[Tensor], start: float, steps: int) -> tuple[Artifact, ...]:
    x = torch.tensor([float(start)])
    for i in range(steps):
        x = await Step(run, (x,), progress=(i + 1, steps), preview=lambda x: picture(x)[0])
    return picture(x)


def drain(engine: Engine) -> list[Event]:
    events: list[Event] = []
    while len(engine):
        events += engine.tick()
    return events


def ends(events: list[Event]) -> dict[Any, float | Exception]:
    found: dict[Any, float | Exception] = {}
    for event in events:
        assert not isinstance(event, Advanced) or event.id not in found
        if isinstance(event, Finished):
            found[event.id] = event.artifacts[0].pixels.item()
        elif isinstance(event, Failed):
            found[event.id] = event.error
    return found


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
    run: Batched[Tensor] = Batched(calls, ROW, rows=None)
    engine = Engine(CPU)
    for i in range(5):
        engine.add(i, count(run, float(i), 1))
    assert ends(engine.tick()) == {i: i + 1.0 for i in range(5)}
    assert calls.sizes == [5]
    assert engine.tick() == []


def test_a_flow_joins_mid_flight_and_shares_the_rest() -> None:
    calls = Calls()
    run: Batched[Tensor] = Batched(calls, ROW, rows=None)
    engine = Engine(CPU)
    engine.add("first", count(run, 0, 4))
    engine.tick()
    engine.add("second", count(run, 10, 3))
    assert ends(drain(engine)) == {"first": 4.0, "second": 13.0}
    assert calls.sizes == [1, 2, 2, 2]


def test_batches_are_padded_to_their_fixed_rows() -> None:
    calls = Calls()
    run: Batched[Tensor] = Batched(calls, ROW, rows=4)
    engine = Engine(CPU)
    for i in range(6):
        engine.add(i, count(run, float(i), 1))
    drain(engine)
    assert calls.sizes == [4, 4]


def test_other_shapes_and_other_models_never_share() -> None:
    calls = Calls()
    one: Batched[Tensor] = Batched(calls, ROW, rows=None)
    two: Batched[Tensor] = Batched(calls, ROW, rows=None)

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
    run: Batched[Tensor] = Batched(calls, ROW, rows=None)
    other: Batched[Tensor] = Batched(lambda x: x * 2, ROW, rows=None)

    async def story() -> tuple[Artifact, ...]:
        a, b, c = await together(
            Step(run, (torch.tensor([1.0]),)),
            Step(other, (torch.tensor([10.0]),)),
            Step(run, (torch.tensor([2.0]),)),
        )
        return picture(a * 10000 + b * 100 + c)

    engine = Engine(CPU)
    engine.add("x", story())
    assert ends(drain(engine)) == {"x": 22003.0}
    assert calls.sizes == [2]
    assert run_alone(story())[0].pixels.item() == 22003.0


def test_progress_and_previews_come_with_each_step() -> None:
    run: Batched[Tensor] = Batched(lambda x: x + 0.25, ROW)
    engine = Engine(CPU)
    engine.add("x", count(run, 0, 3))
    seen = [e for e in drain(engine) if isinstance(e, Advanced)]
    assert [e.progress for e in seen] == [(1, 3), (2, 3), (3, 3)]
    assert [e.preview().pixels.item() for e in seen if e.preview] == [0.25, 0.5, 0.75]


def test_deltas_arrive_in_order() -> None:
    run: Batched[Tensor] = Batched(lambda x: x, ROW)

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
    run: Batched[Tensor] = Batched(poison, ROW, rows=rows)
    engine = Engine(CPU)
    for i in range(10, 17):
        engine.add(i, count(run, float(i), 1))
    found = ends(drain(engine))
    assert isinstance(found.pop(13), ValueError)
    assert found == {i: i + 1.0 for i in range(10, 17) if i != 13}


def test_out_of_memory_halves_the_batch_until_it_fits() -> None:
    def small_only(x: Tensor) -> Tensor:
        if len(x) > 2:
            raise torch.OutOfMemoryError("no room")
        return x + 1

    calls = Calls(small_only)
    run: Batched[Tensor] = Batched(calls, ROW, rows=None)
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

    run: Batched[Tensor] = Batched(small_only, ROW, rows=None)
    engine = Engine(CPU)
    for i in range(4):
        engine.add(i, count(run, float(i), 1))
    assert ends(engine.tick()) == {i: i + 1.0 for i in range(4)}
    assert alive == [0] * 7


def test_a_row_that_never_fits_fails_alone() -> None:
    def full(x: Tensor) -> Tensor:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    run: Batched[Tensor] = Batched(full, ROW)
    engine = Engine(CPU)
    engine.add("x", count(run, 0, 1))
    assert isinstance(ends(drain(engine))["x"], RuntimeError)


def test_a_lost_device_is_nobodys_fault_and_ends_the_engine() -> None:
    def lost(x: Tensor) -> Tensor:
        raise torch.AcceleratorError("illegal memory access")

    run: Batched[Tensor] = Batched(lost, ROW)
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


async def holding(slots: Slots, run: Batched[Tensor], steps: int) -> tuple[Artifact, ...]:
    with slots:
        return await count(run, 0, steps)


@pytest.mark.parametrize("ticks", range(4))
def test_cancel_at_any_step_gives_back_what_the_flow_holds(ticks: int) -> None:
    slots = Slots()
    run: Batched[Tensor] = Batched(lambda x: x + 1, ROW)
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
    run: Batched[Tensor] = Batched(poison, ROW)
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
    return picture(await Step(Batched(lambda x: x, ROW), ROW))


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
    run: Batched[Tensor] = Batched(lambda x: x + 1, ROW)
    engine = Engine(CPU)
    engine.add("good", count(run, 0, 2))
    events = engine.add("bad", story())
    assert isinstance(ends(events)["bad"], error)
    assert ends(drain(engine)) == {"good": 2.0}


@pytest.mark.parametrize("out", [lambda x: x[:1], lambda x: x.sum(), lambda x: "no"])
def test_a_run_must_return_as_many_rows_as_it_was_given(out: Any) -> None:
    run: Batched[Tensor] = Batched(out, ROW, rows=3)
    engine = Engine(CPU)
    engine.add("x", count(run, 0, 1))
    assert isinstance(ends(drain(engine))["x"], SeamError)


def test_a_grad_run_sees_gradients_though_flows_do_not() -> None:
    def slope(x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.requires_grad_()
        (grad,) = torch.autograd.grad((x**3).sum(), x)
        return grad, x

    run: Batched[tuple[Tensor, Tensor]] = Batched(slope, ROW, grad=True)

    async def story() -> tuple[Artifact, ...]:
        assert torch.is_inference_mode_enabled()
        grad, x = await Step(run, (torch.tensor([2.0]),))
        assert not x.requires_grad
        return picture(grad)

    engine = Engine(CPU)
    engine.add("x", story())
    assert ends(drain(engine)) == {"x": 12.0}


class Clock:
    """Time that passes only where a batched function says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def costing(self, seconds: float, rows: int = 4) -> Batched[Tensor]:
        def run(x: Tensor) -> Tensor:
            self.now += seconds
            return x + 1

        return Batched(run, ROW, rows=rows)


def time_of_short_job(clock: Clock, engine: Engine, arrive: float) -> float:
    """Seconds that 50 steps of 5 ms take from their arrival beside whatever runs."""
    short = clock.costing(0.005)
    while clock.now < arrive:
        engine.tick()
    start = clock.now
    engine.add("short", count(short, 0, 50))
    while "short" not in ends(engine.tick()):
        pass
    return clock.now - start


@pytest.mark.parametrize("longs", [1, 3])
@pytest.mark.parametrize("arrive", [0.0, 0.3, 5.0, 60.0])
def test_a_short_job_takes_at_most_three_times_its_lone_time(longs: int, arrive: float) -> None:
    lone_clock = Clock()
    lone = time_of_short_job(lone_clock, Engine(CPU, lone_clock), 0)
    clock = Clock()
    engine = Engine(CPU, clock)
    for i in range(longs):
        long = clock.costing(0.25)
        engine.learn(long, 0.25)
        for j in range(6):
            engine.add((i, j), count(long, 0, 10_000))
    assert time_of_short_job(clock, engine, arrive) <= 3 * lone


def test_a_long_flow_is_not_starved_by_a_stream_of_short_ones() -> None:
    clock = Clock()
    engine = Engine(CPU, clock)
    short, long = clock.costing(0.005), clock.costing(0.25)
    engine.add("long", count(long, 0, 20))
    for i in range(100_000):
        engine.add(i, count(short, 0, 1))
        if "long" in ends(engine.tick()):
            break
    assert clock.now < 20 * 0.25 * 8


def test_a_long_flow_is_not_starved_by_short_ones_of_its_own_key() -> None:
    clock = Clock()
    engine = Engine(CPU, clock)
    run = clock.costing(0.06)  # a turn takes one micro-batch of four
    engine.learn(run, 0.06)
    engine.add("long", count(run, 0, 10))
    ticks = 0
    ended: dict[Any, float | Exception] = {}
    while "long" not in ended and ticks < 500:
        for i in range(4):
            engine.add((ticks, i), count(run, 0, 1))
        ended = ends(engine.tick())
        ticks += 1
    assert ended.get("long") == 10.0


@pytest.mark.parametrize("readers", [1, 7])
@pytest.mark.parametrize("arrive", [1.0, 60.0])
def test_texts_are_written_on_while_long_prompts_are_read(readers: int, arrive: float) -> None:
    """However long they have been written, and however many prompts come at once."""
    clock = Clock()
    engine = Engine(CPU, clock)
    write, read = clock.costing(0.03), clock.costing(0.1, rows=1)
    for run, seconds in ((write, 0.03), (read, 0.1)):
        engine.learn(run, seconds)
    for i in range(4):
        engine.add(i, count(write, 0, 10_000))
    while clock.now < arrive:
        engine.tick()
    for i in range(readers):
        engine.add(("reader", i), count(read, 0, 20))
    came, spoken, left = clock.now, [clock.now], readers
    while left:
        events = engine.tick()
        left -= len(ends(events))
        if any(isinstance(event, Advanced) and event.id == 0 for event in events):
            spoken.append(clock.now)
    gaps = [b - a for a, b in pairwise([*spoken, clock.now])]
    assert max(gaps) <= 0.65  # seven would have waited for each other's turns as well
    assert clock.now - came <= 2 * readers * 20 * 0.1 + 0.5, "the prompts have half of the time"
    assert len(spoken) * 0.03 >= 0.4 * (clock.now - came), "and the texts nearly as much"


@pytest.mark.parametrize("at_once", [1, 24])
def test_a_text_is_written_on_while_one_short_job_follows_another(at_once: int) -> None:
    """Each of them is short, and there is no end of them."""
    clock = Clock()
    engine = Engine(CPU, clock)
    write, draw = clock.costing(0.02), clock.costing(0.012)
    for run, seconds in ((write, 0.02), (draw, 0.012)):
        engine.learn(run, seconds)
    engine.add("text", count(write, 0, 10_000))
    while clock.now < 10:
        engine.tick()
    tokens, number, running = 0, 0, 0
    while clock.now < 40:
        while running < at_once:
            engine.add(number, count(draw, 0, 20 if at_once == 1 else 1))
            number, running = number + 1, running + 1
        events = engine.tick()
        running -= len(ends(events))
        tokens += sum(isinstance(event, Advanced) and event.id == "text" for event in events)
    assert 0.35 <= tokens * 0.02 / 30 <= 0.6


def test_texts_share_their_turns_though_another_key_is_served_less() -> None:
    """New ones are not served alone for as long as the old ones are ahead of what they never share
    a batch with."""
    clock = Clock()
    engine = Engine(CPU, clock)
    write, film = clock.costing(0.028), clock.costing(0.3, rows=1)
    for run, seconds in ((write, 0.028), (film, 0.3)):
        engine.learn(run, seconds)
    for i in range(4):
        engine.add(("film", i), count(film, 0, 10_000))
        engine.add(("old", i), count(write, 0, 10_000))
    while clock.now < 60:
        engine.tick()
    for i in range(4):
        engine.add(("new", i), count(write, 0, 10_000))
    begun, tokens = clock.now, {"film": 0, "old": 0, "new": 0}
    while clock.now < begun + 20:
        for event in engine.tick():
            tokens[event.id[0]] += 1
    assert 0.7 < tokens["old"] / tokens["new"] < 1.1
    assert tokens["film"] * 0.3 > 0.4 * 20


def test_one_that_comes_does_not_go_first_in_its_key_for_as_long_as_others_have_run() -> None:
    clock = Clock()
    engine = Engine(CPU, clock)
    run = clock.costing(0.06)  # a turn takes one micro-batch of four
    engine.learn(run, 0.06)
    for i in range(4):
        engine.add(i, count(run, 0, 10_000))
    while clock.now < 30:
        engine.tick()
    for i in range(4):
        engine.add(("late", i), count(run, 0, 10_000))
    turns = [event.id for _ in range(100) for event in engine.tick()]
    assert 0.4 < sum(isinstance(turn, int) for turn in turns) / len(turns) < 0.5


@pytest.mark.parametrize(("kinds", "seconds"), [(1, 0.08), (2, 0.05)])
def test_a_tick_takes_no_more_rows_than_fit_in_its_time(kinds: int, seconds: float) -> None:
    clock = Clock()
    engine = Engine(CPU, clock)
    runs = [clock.costing(0.02) for _ in range(kinds)]  # a micro-batch of four
    for i in range(32):
        engine.add(i, count(runs[i % kinds], 0, 8))
    ran = set[int]()
    while len(ran) < kinds:  # before, nobody knows what they cost
        ran |= {event.id % kinds for event in engine.tick()}
    taken = []
    for _ in range(6):
        start = clock.now
        engine.tick()
        taken.append(clock.now - start)
    assert max(taken) <= seconds + 1e-9
    assert max(taken) > seconds / 2 - 1e-9, "as many as fit, and no fewer"
    assert len(ends(drain(engine))) == 32


@pytest.mark.parametrize(("side", "most"), [(1, 8), (2, 4), (4, 4)])
def test_a_shape_that_has_not_run_is_thought_to_cost_what_it_has_grown(
    side: int, most: int
) -> None:
    clock = Clock()
    engine = Engine(CPU, clock)
    run = clock.costing(0.03)  # a micro-batch of four of the example's shape
    engine.learn(run, 0.03)

    async def wide() -> tuple[Artifact, ...]:
        return picture((await Step(run, (torch.zeros(side),))).sum())

    for i in range(16):
        engine.add(i, wide())
    assert len(ends(engine.tick())) == most


def test_random_joins_cancels_and_nan_neighbours_never_move_a_bit() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(1, 64), torch.nn.Tanh(), torch.nn.Linear(64, 1))
    net.requires_grad_(False)
    run: Batched[Tensor] = Batched(net, ROW)
    chance = random.Random(7)
    expected = {i: run_alone(count(run, i / 7, 1 + i % 5))[0].pixels.item() for i in range(60)}
    engine, found, todo = Engine(CPU), {}, list(range(60))
    chance.shuffle(todo)
    while todo or len(engine):
        for _ in range(chance.randrange(4)):
            if todo:
                i = todo.pop()
                engine.add(i, count(run, i / 7, 1 + i % 5))
                engine.add(("nan", i), count(run, float("nan"), 3))
                if chance.random() < 0.5:
                    engine.cancel(("nan", i))
        found |= ends(engine.tick())
    for i, value in expected.items():
        assert found[i] == value
