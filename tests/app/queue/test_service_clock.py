"""The service's clock goes on with the server's, whatever that is set to."""

import asyncio
from collections.abc import Callable

import pytest
import redis
import redis.asyncio

from app.core.scripts import Scripts
from app.core.settings import Settings
from app.queue.jobs import Jobs, NewJob
from app.queue.worker_leases import read_leases
from tests.app.working import Worker

DAY = 86_400


@pytest.fixture
def note(connection: "redis.Redis") -> Callable[[bool], float]:
    """Note the time as a process does, its first time or later. Returns the service's clock."""
    scripts = Scripts(connection)

    def note(arrived: bool = False) -> float:
        scripts.run("clock", 3, int(arrived))
        return float(connection.hget("atelier:clock", "service") or 0)

    return note


def set_clock(connection: "redis.Redis", seconds: float) -> None:
    """The server's clock has been set by so much since the last note."""
    noted = float(connection.hget("atelier:clock", "wall") or 0)
    connection.hset("atelier:clock", "wall", f"{noted - seconds:.6f}")


def submit(connection: "redis.Redis", settings: Settings) -> str:
    new = NewJob("local", "image", "m", "a" * 64, {"n": 1}, seed=1, items=1, metadata={})
    return Jobs(connection, settings).submit(new).job.id


@pytest.mark.parametrize("seconds", [-DAY, -1.5, 2 * DAY])
def test_it_goes_on_where_it_was(
    connection: "redis.Redis", note: Callable[..., float], seconds: float
) -> None:
    before = note()
    set_clock(connection, seconds)
    assert before <= note() < before + 5
    wall = float(connection.hget("atelier:clock", "wall") or 0)
    assert abs(wall - connection.time()[0]) < 5, "later notes are measured from here"


def test_a_clock_that_can_not_be_read_begins_anew(
    connection: "redis.Redis", note: Callable[..., float]
) -> None:
    connection.hset("atelier:clock", mapping={"service": "soon", "wall": ""})
    assert abs(note() - connection.time()[0]) < 5


@pytest.mark.parametrize("seconds", [-DAY, 30 * DAY])
def test_no_deadline_passes_no_result_expires_and_no_lease_is_lost(
    connection: "redis.Redis", note: Callable[..., float], settings: Settings, seconds: float
) -> None:
    worker = Worker(connection)
    note()
    worker.lease()
    done, going, waiting = (submit(connection, settings) for _ in range(3))
    assert set(worker.claim()) == {done, going, waiting}
    worker.finish(done)
    set_clock(connection, seconds)
    note()
    worker.sweep()
    assert len(asyncio.run(leases(settings))) == 1
    jobs = Jobs(connection, settings)
    statuses = [jobs.fetch("local", job).status for job in (done, going)]
    assert statuses == ["completed", "in_progress"]
    late = submit(connection, settings)
    assert late > waiting, "ids sort by when jobs came"
    assert worker.claim() == [late], "and none of those in flight was given up"


async def leases(settings: Settings) -> list[object]:
    async with redis.asyncio.Redis.from_url(
        settings.redis_address, decode_responses=True
    ) as connection:
        return list(await read_leases(connection))


def test_an_absence_counts_for_results_and_not_for_deadlines(
    connection: "redis.Redis", note: Callable[..., float], settings: Settings
) -> None:
    worker = Worker(connection)
    note()
    done, going = submit(connection, settings), submit(connection, settings)
    worker.claim()
    worker.finish(done)
    set_clock(connection, 2 * DAY)  # nobody was there for two days
    note(arrived=True)
    worker.sweep()
    jobs = Jobs(connection, settings)
    statuses = [jobs.fetch("local", job).status for job in (done, going)]
    assert statuses == ["expired", "in_progress"]


def test_a_lease_runs_out_by_the_time_that_was_watched(
    connection: "redis.Redis", note: Callable[..., float], settings: Settings
) -> None:
    note()
    Worker(connection).lease()
    for _ in range(19):
        set_clock(connection, 3)
        note()
    assert len(asyncio.run(leases(settings))) == 1
    for _ in range(2):
        set_clock(connection, 3)
        note()
    assert asyncio.run(leases(settings)) == []


def test_a_turn_at_the_sweep_ends_although_the_clock_was_set_back(
    connection: "redis.Redis", note: Callable[..., float]
) -> None:
    worker = Worker(connection)
    note()
    assert worker.lead(3)
    assert not worker.lead(3)
    set_clock(connection, -DAY)
    note()
    set_clock(connection, 3)
    note()
    assert worker.lead(3)
