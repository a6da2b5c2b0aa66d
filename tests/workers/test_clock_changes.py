"""The server's clock is set back and forward while jobs run: a real server, under libfaketime."""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from atelier.service.embedded_valkey import EmbeddedServer
from tests.workers.conftest import Bench
from tests.workers.test_worker import claim_as

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
HOUR = 3600

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not LIBRARIES, reason="libfaketime is not installed (Debian: faketime)"),
]


@dataclass(frozen=True)
class ChangedClock:
    """A Valkey whose wall clock can be set; its monotonic clock can't, as on any machine."""

    url: str
    file: Path

    def shift(self, seconds: int) -> None:
        """Set the server's clock so far from the machine's."""
        draft = self.file.with_suffix(".new")
        draft.write_text(f"{seconds:+d}\n")
        draft.rename(self.file)
        with redis.Redis.from_url(self.url) as client:
            while abs(client.time()[0] - time.time() - seconds) > 5:
                time.sleep(0.01)


@pytest.fixture
def changed_clock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChangedClock]:
    folder = tmp_path_factory.mktemp("clock")
    shift = folder / "shift"
    shift.write_text("+0\n")
    server = EmbeddedServer(folder)
    environment = {
        "LD_PRELOAD": str(LIBRARIES[0]),
        "FAKETIME_TIMESTAMP_FILE": str(shift),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    process = subprocess.Popen(server.command(), env=os.environ | environment)
    try:
        with redis.Redis.from_url(server.url) as client:
            while True:
                try:
                    client.ping()
                    break
                except redis.ConnectionError:
                    assert process.poll() is None, "the server does not start"
                    time.sleep(0.02)
        yield ChangedClock(server.url, shift)
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def redis_server(changed_clock: ChangedClock) -> str:
    """The server that the other fixtures of a test use."""
    return changed_clock.url


@pytest.mark.parametrize("hours", [-1, 2])
def test_the_dead_are_found_in_time_whatever_the_clock_says(
    bench: Bench, changed_clock: ChangedClock, tmp_path: Path, hours: int
) -> None:
    job = bench.submit()
    assert [claim.job for claim in claim_as(bench, "dead")] == [job]
    bench.worker("watching", checkpoints=tmp_path / "none")  # it has no model, so it only reaps
    bench.until(lambda: bench.redis.zscore("atelier:workers", "watching") is not None)
    changed_clock.shift(hours * HOUR)
    bench.worker("alive")
    ended = bench.wait(job, 10)
    assert (ended.status, ended.attempt) == ("completed", 2)
    assert bench.redis.zscore("atelier:workers", "dead") is None


@pytest.mark.parametrize("hours", [-1, 2])
def test_no_job_in_flight_is_lost_and_no_lease(
    bench: Bench, slow: threading.Event, changed_clock: ChangedClock, hours: int
) -> None:
    bench.worker("one")
    bench.worker("two")
    jobs = [bench.submit(i) for i in range(4)]
    bench.until(lambda: all(bench.fetch(i).status == "in_progress" for i in jobs))
    changed_clock.shift(hours * HOUR)
    time.sleep(1.5)  # longer than a lease, and several sweeps
    assert [bench.fetch(i).attempt for i in jobs] == [1, 1, 1, 1]
    slow.set()
    for i in jobs:
        job = bench.wait(i)
        assert (job.status, job.attempt) == ("completed", 1)
        assert job.usage.queue_ms is not None
        assert 0 <= job.usage.queue_ms < 60_000
