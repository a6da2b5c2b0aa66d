"""Benches measure in turn, and report no figures of work that did not complete."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import torch

from app.core.settings import Settings
from app.queue.jobs import Jobs
from bench.harness import Unfinished, checked, measure_in_turn
from bench.sandbox import Sandbox
from models.artifacts import Artifact
from models.engine.engine import Engine


def test_a_ratio_is_the_median_of_the_rounds_after_the_first() -> None:
    ours, peer = iter([100.0, 1.0, 2.0, 3.0]), iter([1.0, 2.0, 8.0, 6.0])
    measured = measure_in_turn(3, ours=lambda: next(ours), peer=lambda: next(peer))
    assert measured.median("ours") == 2
    assert measured.ratio("peer", "ours") == 2
    alone: Iterator[float] = iter([5.0])
    assert measure_in_turn(0, ours=lambda: next(alone)).median("ours") == 5


def test_a_flow_that_fails_ends_the_bench() -> None:
    async def broken() -> tuple[Artifact, ...]:
        raise ValueError("no")

    with pytest.raises(Unfinished, match="no"):
        checked(Engine(torch.device("cpu")).add(1, broken()))


@pytest.mark.parametrize("status", ["failed", "canceled", None])
def test_a_job_that_does_not_complete_ends_the_bench(
    redis_server: str, connection: "redis.Redis", tmp_path: Path, status: str | None
) -> None:
    settings = Settings(state=tmp_path, redis_url=redis_server)
    sandbox = Sandbox(settings, connection, Jobs(connection, settings), "")
    if status:
        connection.hset("rq:job:one", mapping={"status": status, "error": "no"})
    with pytest.raises(Unfinished):
        sandbox.completed("one")
    connection.hset("rq:job:two", "status", "started")
    with pytest.raises(Unfinished, match="1 jobs"):
        sandbox.check(["two"])
    connection.hset("rq:job:two", "status", "finished")
    sandbox.check(["two"])
