"""Whose turn it is, and how long a turn is, by a clock that passes only while a batch runs."""

from itertools import pairwise
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from models.artifacts import Artifact
from models.engine.batching import BatchedFn
from models.engine.engine import Advanced, Engine, Finished
from models.engine.flow import Step
from tests.models.engine.test_engine import CPU, ROW, count, drain, ends, picture


class Clock:
    """Time that passes only where a batched function says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def costing(self, seconds: float, rows: int = 4) -> BatchedFn[Tensor]:
        def run(x: Tensor) -> Tensor:
            self.now += seconds
            return x + 1

        return BatchedFn(run, ROW, pad_to=rows)

    def pass_until(self, when: float, engine: Engine) -> None:
        while self.now < when:
            engine.tick()

    def known(self, engine: Engine, seconds: float, rows: int = 4) -> BatchedFn[Tensor]:
        """One of which the engine knows what it costs, as after a model's warm-up."""
        run = self.costing(seconds, rows)
        engine.learn(run, seconds)
        return run


def time_of_short_job(clock: Clock, engine: Engine, arrive: float) -> float:
    """Seconds that 50 steps of 5 ms take from their arrival beside whatever runs."""
    short = clock.costing(0.005)
    clock.pass_until(arrive, engine)
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
        long = clock.known(engine, 0.25)
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
    run = clock.known(engine, 0.06)  # a turn takes one micro-batch of four
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
    write, read = clock.known(engine, 0.03), clock.known(engine, 0.1, rows=1)
    for i in range(4):
        engine.add(i, count(write, 0, 10_000))
    clock.pass_until(arrive, engine)
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
    share = (1 / 2 + readers / (readers + 4)) / 2  # of the prompts, by keys and by flows
    assert clock.now - came <= 1.1 * readers * 20 * 0.1 / share + 0.5
    assert len(spoken) * 0.03 >= 0.85 * (1 - share) * (clock.now - came)


@pytest.mark.parametrize(("many", "share"), [(1, 1 / 2), (3, 5 / 8), (8, 25 / 36), (100, 3 / 4)])
def test_half_of_the_time_is_shared_by_keys_and_half_by_flows(many: int, share: float) -> None:
    clock = Clock()
    engine = Engine(CPU, clock)
    write, read = clock.known(engine, 0.01, rows=100), clock.known(engine, 0.02)
    engine.add("read", count(read, 0, 10_000))
    for i in range(many):
        engine.add(i, count(write, 0, 10_000))
    turns: list[object] = []
    while clock.now < 40:
        (first, *_) = engine.tick()
        turns.append("read" if first.id == "read" else "write")
    assert turns.count("write") * 0.01 / 40 == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize(("unit", "most"), [(1, 2), (4, 8)])
def test_rows_that_cost_as_one_are_taken_as_one(unit: int, most: int) -> None:
    """Else a batch that is cut is dearer by the row, and the next one is cut further."""
    clock = Clock()
    engine = Engine(CPU, clock)
    run = BatchedFn(lambda x: x, ROW, pad_to=None, cost_unit=unit)
    engine.learn(run, 0.03)
    for i in range(9):
        engine.add(i, count(run, 0, 10))
    assert len(engine.tick()) == most


@pytest.mark.parametrize("at_once", [1, 24])
def test_a_text_is_written_on_while_one_short_job_follows_another(at_once: int) -> None:
    """Each of them is short, and there is no end of them."""
    clock = Clock()
    engine = Engine(CPU, clock)
    write, draw = clock.known(engine, 0.02), clock.known(engine, 0.012)
    engine.add("text", count(write, 0, 10_000))
    clock.pass_until(10, engine)
    tokens, number, running = 0, 0, 0
    while clock.now < 40:
        while running < at_once:
            engine.add(number, count(draw, 0, 20 if at_once == 1 else 1))
            number, running = number + 1, running + 1
        events = engine.tick()
        running -= len(ends(events))
        tokens += sum(isinstance(event, Advanced) and event.id == "text" for event in events)
    least = (1 / 2 + 1 / (1 + at_once)) / 2  # by keys and by flows
    assert 0.7 * least <= tokens * 0.02 / 30 <= 0.6


def test_texts_share_their_turns_though_another_key_is_served_less() -> None:
    """New ones are not served alone for as long as the old ones are ahead of what they never share
    a batch with."""
    clock = Clock()
    engine = Engine(CPU, clock)
    write, film = clock.known(engine, 0.028), clock.known(engine, 0.3, rows=1)
    for i in range(4):
        engine.add(("film", i), count(film, 0, 10_000))
        engine.add(("old", i), count(write, 0, 10_000))
    clock.pass_until(60, engine)
    for i in range(4):
        engine.add(("new", i), count(write, 0, 10_000))
    begun, tokens = clock.now, {"film": 0, "old": 0, "new": 0}
    while clock.now < begun + 20:
        for event in engine.tick():
            group, _ = cast(tuple[str, int], event.id)
            tokens[group] += 1
    assert 0.7 < tokens["old"] / tokens["new"] < 1.1
    assert tokens["film"] * 0.3 > 0.4 * 20


def test_one_that_comes_does_not_go_first_in_its_key_for_as_long_as_others_have_run() -> None:
    clock = Clock()
    engine = Engine(CPU, clock)
    run = clock.known(engine, 0.06)  # a turn takes one micro-batch of four
    for i in range(4):
        engine.add(i, count(run, 0, 10_000))
    clock.pass_until(30, engine)
    for i in range(4):
        engine.add(("late", i), count(run, 0, 10_000))
    turns = [event.id for _ in range(100) for event in engine.tick()]
    assert 0.4 < sum(isinstance(turn, int) for turn in turns) / len(turns) < 0.5


@pytest.mark.parametrize("kinds", [1, 2])
def test_a_tick_takes_no_more_rows_than_fit_in_its_time(kinds: int) -> None:
    clock = Clock()
    engine = Engine(CPU, clock)
    runs = [clock.costing(0.02) for _ in range(kinds)]  # a micro-batch of four
    for i in range(32):
        engine.add(i, count(runs[i % kinds], 0, 8))
    ran = set[int]()
    while len(ran) < kinds:  # before, nobody knows what they cost
        ran |= {cast(int, event.id) % kinds for event in engine.tick()}
    taken = []
    for _ in range(6):
        start = clock.now
        engine.tick()
        taken.append(clock.now - start)
    assert max(taken) <= 0.08 + 1e-9
    assert max(taken) > 0.04 - 1e-9, "as many as fit, and no fewer"
    assert len(ends(drain(engine))) == 32


def shown(clock: Clock, run: BatchedFn[Tensor], steps: int, cost: float) -> Any:
    """A flow whose previews take this long."""

    def drawn(x: Tensor) -> Artifact:
        clock.now += cost
        return picture(x)[0]

    async def flow() -> tuple[Artifact, ...]:
        for i in range(steps):
            x = await Step(run, ROW, progress=(i + 1, steps), preview=drawn)
        return picture(x)

    return flow()


def test_a_preview_is_charged_to_its_flow() -> None:
    clock = Clock()
    engine = Engine(CPU, clock)
    engine.add("shown", shown(clock, clock.known(engine, 0.01), 5, 0.2))
    used = 0.0
    while len(engine):
        for event in engine.tick():
            if isinstance(event, Advanced) and event.preview and event.progress[0] < 5:
                event.preview()
            if isinstance(event, Finished):
                used = event.seconds
    assert used == pytest.approx(5 * 0.01 + 4 * 0.2)


def test_a_flow_that_is_shown_takes_no_time_from_others() -> None:
    clock = Clock()
    engine = Engine(CPU, clock)
    engine.add("shown", shown(clock, clock.known(engine, 0.05), 100, 0.15))
    engine.add("plain", count(clock.known(engine, 0.05), 0, 100))
    turns: list[str] = []
    while len(turns) < 60:
        for event in engine.tick():
            assert isinstance(event, Advanced)
            turns.append(str(event.id))
            if event.id == "shown" and event.preview:
                event.preview()
    assert turns.count("plain") >= 2 * turns.count("shown")


@pytest.mark.parametrize(("side", "most"), [(1, 8), (2, 4), (4, 4)])
def test_a_shape_that_has_not_run_is_thought_to_cost_what_it_has_grown(
    side: int, most: int
) -> None:
    clock = Clock()
    engine = Engine(CPU, clock)
    run = clock.known(engine, 0.03)  # a micro-batch of four of the example's shape

    async def wide() -> tuple[Artifact, ...]:
        return picture((await Step(run, (torch.zeros(side),))).sum())

    for i in range(16):
        engine.add(i, wide())
    assert len(ends(engine.tick())) == most
