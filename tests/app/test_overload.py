"""A queue that is asked for more than it can take: who gets a place, and when to come back."""

import heapq
import itertools
import random
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import redis

from app.core.errors import RateLimited
from app.core.settings import Settings
from app.queue.jobs import Jobs, NewJob
from tests.app.working import Worker

NEW = NewJob("local", "image", "m", "a" * 64, {"n": 1}, seed=1, items=1, metadata={})


@dataclass
class Overload:
    """Clients, a queue and a worker in simulated time, over the real scripts."""

    connection: "redis.Redis"
    settings: Settings
    pace: float  # seconds that a job takes, of which the worker runs two at once
    now: float = 1e6
    outcomes: Counter[str] = field(default_factory=Counter)
    idle: int = 0  # times that the worker found nothing to do while clients came

    def __post_init__(self) -> None:
        self._jobs, self._worker = Jobs(self.connection, self.settings), Worker(self.connection)
        self._random, self._order = random.Random(0), itertools.count()
        self._events: list[tuple[float, int, str, NewJob | None]] = []

    def run(self, clients: list[NewJob], every: float, returning: float = 1.0) -> None:
        """Clients come at random, one `every` so many seconds; those that are refused come back
        once, when they were told to, or that fraction of them."""
        at = self.now
        for client in clients:
            at += self._random.expovariate(1 / every)
            self._schedule(at, "come", client)
        self._schedule(self.now, "work", None)
        while any(what != "work" for _, _, what, _ in self._events):
            self.now, _, what, client_or_none = heapq.heappop(self._events)
            self._set_clock()
            if client_or_none is None:
                self._work()
            else:
                self._post(client_or_none, what, returning)

    def _schedule(self, at: float, what: str, client: NewJob | None) -> None:
        heapq.heappush(self._events, (at, next(self._order), what, client))

    def _set_clock(self) -> None:
        seconds, micros = self.connection.time()
        wall: dict[Any, Any] = {"service": self.now, "wall": seconds + micros / 1e6, "longest": 1}
        self.connection.hset("atelier:clock", mapping=wall)

    def _work(self) -> None:
        if self._worker.running:
            self._worker.finish(next(iter(self._worker.running)))
        self._worker.claim(2 - len(self._worker.running))
        coming = any(what == "come" for _, _, what, _ in self._events)
        self.idle += coming and not self._worker.running
        self._schedule(self.now + self._random.expovariate(2 / self.pace), "work", None)

    def _post(self, client: NewJob, what: str, returning: float) -> None:
        try:
            self._jobs.submit(client)
        except RateLimited as error:
            self.outcomes[f"{what}: refused"] += 1
            if what == "come" and self._random.random() < returning:
                late = self._random.uniform(0.005, 0.05)  # a network, and a client's own clock
                self._schedule(self.now + (error.retry_after or 0) + late, "return", client)
        else:
            self.outcomes[f"{what}: accepted"] += 1

    @property
    def patience_rewarded(self) -> float:
        """Of those that came back when they were told to, the fraction that got a place."""
        accepted, refused = (self.outcomes[f"return: {x}"] for x in ("accepted", "refused"))
        return accepted / (accepted + refused)


def clients(count: int) -> list[NewJob]:
    return [replace(NEW, request=str(i)) for i in range(count)]


@pytest.mark.slow
@pytest.mark.parametrize(("limit", "pace"), [(10, 4.0), (50, 0.5), (2, 4.0)])
def test_at_ten_times_overload_those_that_wait_it_out_get_a_place(
    connection: "redis.Redis", settings: Settings, limit: int, pace: float
) -> None:
    overload = Overload(connection, settings.model_copy(update={"queue_limit": limit}), pace)
    overload.run(clients(300), every=pace / 20)
    assert overload.patience_rewarded > 0.7


@pytest.mark.slow
def test_places_kept_for_those_that_never_come_leave_no_worker_idle(
    connection: "redis.Redis", settings: Settings
) -> None:
    overload = Overload(connection, settings.model_copy(update={"queue_limit": 4}), 2.0)
    overload.run(clients(800), every=0.1, returning=0.1)
    assert overload.idle <= 3, "but before the first came"


def test_one_key_can_not_fill_the_queue(
    connection: "redis.Redis", settings: Settings, tmp_path: object
) -> None:
    keyed = settings.model_copy(update={"queue_limit": 6, "keys_file": tmp_path})
    jobs = Jobs(connection, keyed)
    greedy = [replace(NEW, owner="greedy", request=str(i)) for i in range(4)]
    for new in greedy[:3]:
        jobs.submit(new)
    with pytest.raises(RateLimited) as refused:
        jobs.submit(greedy[3])
    assert refused.value.code == "quota_exceeded"
    assert "3 jobs of your key" in refused.value.message
    assert refused.value.retry_after
    for new in greedy[:3]:
        jobs.submit(replace(new, owner="other"))
    with pytest.raises(RateLimited) as full:
        jobs.submit(replace(NEW, owner="third"))
    assert full.value.code == "queue_full"


@pytest.mark.parametrize(
    ("changes", "own"),
    [({"owner_queue_limit": 7}, 7), ({}, 300), ({"keys_file": "k"}, 150)],
)
def test_the_limit_of_one_key(settings: Settings, changes: dict[str, object], own: int) -> None:
    assert settings.model_copy(update=changes).own_queue_limit == own


def test_a_line_is_bounded(connection: "redis.Redis", settings: Settings) -> None:
    jobs = Jobs(connection, settings.model_copy(update={"queue_limit": 1}))
    for i in range(1100):
        if i == 0:
            jobs.submit(NEW)
            continue
        with pytest.raises(RateLimited) as refused:
            jobs.submit(replace(NEW, request=str(i)))
        assert 1 <= (refused.value.retry_after or 0) <= 3600
    (line,) = connection.keys("atelier:line:*")
    assert connection.zcard(line) <= 1010
