"""The watchdog: what counts as a hang, in any phase of a job, and what becomes of its jobs."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from app.core.settings import Settings
from app.queue.jobs import Jobs
from models.artifacts import Image
from models.engine.activity import Activity, Phase
from models.engine.batching import BatchedFn
from models.engine.engine import Advanced, Engine
from models.engine.flow import Step
from tests.models.engine.test_engine import CPU, ROW, count, drain
from tests.models.engine.test_scheduler import Clock
from tests.processes import running_process
from tests.workers.conftest import Bench
from tests.workers.test_worker import claim_as, die, reap
from workers.heartbeat import HUNG, Heartbeat
from workers.main import WorkerProcess
from workers.watchdog import Watchdog


class Watch:
    """A watchdog with a clock that a test moves, and the activity of one thread."""

    def __init__(self, **settings: Any) -> None:
        self.now = 0.0
        self.dog = Watchdog(Settings(**{"hang_timeout": 120, **settings}), lambda: self.now)
        self.activity = self.dog.activity("main")

    def pass_by(self, seconds: float) -> bool:
        """Whether a hang has been found, second by second."""
        for _ in range(round(seconds)):
            self.now += 1
            self.dog.look()
        return self.dog.hung is not None


def test_a_phase_that_lasts_longer_than_its_limit_hangs() -> None:
    watch = Watch()
    watch.activity.enter("begin", (("job", 0),))
    assert not watch.pass_by(118)
    assert watch.pass_by(5)
    assert watch.dog.hung is not None
    assert watch.dog.hung.jobs == {"job"}
    assert "pass_by" in watch.dog.hung.stack


def test_many_phases_one_after_another_do_not_hang() -> None:
    watch = Watch()
    watch.activity.enter("turn")
    for _ in range(30):
        with watch.activity.during("step"):
            assert not watch.pass_by(50)
        assert not watch.pass_by(50)


def test_a_thread_that_rests_does_not_hang() -> None:
    watch = Watch()
    with watch.activity.during("encoding"):
        watch.pass_by(10)
    assert not watch.pass_by(10_000)


def test_a_process_that_was_stopped_does_not_hang() -> None:
    watch = Watch()
    watch.activity.enter("step")
    watch.pass_by(10)
    watch.now += 100_000  # SIGSTOP and SIGCONT
    assert not watch.pass_by(10)


def test_a_limit_of_its_own_may_be_longer_but_not_beyond_a_jobs_deadline() -> None:
    watch = Watch(job_deadline=1000)
    watch.activity.enter("step", limit=500)
    assert not watch.pass_by(490)
    watch.activity.enter("step", limit=1e9)
    assert not watch.pass_by(990)
    assert watch.pass_by(20)


class Limits(Activity):
    """Notes the limit of each phase."""

    def __init__(self) -> None:
        super().__init__(least=1.0)
        self.limits: dict[str, list[float]] = {}

    def set(self, phase: Phase | None) -> None:
        super().set(phase)
        if phase:
            self.limits.setdefault(phase.name, []).append(phase.limit)


def test_a_step_may_take_ten_times_what_it_has_cost() -> None:
    clock, limits = Clock(), Limits()
    engine = Engine(CPU, clock, limits)
    run = clock.known(engine, 13.6)
    for i in range(8):  # two micro-batches of four, where they run together
        engine.add(i, count(run, 0, 1))
    drain(engine)
    assert limits.limits["step"][0] == pytest.approx(136.0)


def test_a_first_step_counts_with_the_warm_up_scaled_by_its_size() -> None:
    clock, limits = Clock(), Limits()
    engine = Engine(CPU, clock, limits)
    run = clock.known(engine, 0.5)

    async def wide() -> Any:
        return (Image((await Step(run, (torch.zeros(9),))).sum().reshape(1, 1, 1)),)

    engine.add("wide", wide())
    drain(engine)
    assert limits.limits["step"] == [pytest.approx(10 * 0.5 * 9**2)]


def test_every_part_of_a_flow_is_a_phase() -> None:
    limits = Limits()
    engine = Engine(CPU, activity=limits)
    run: BatchedFn[torch.Tensor] = BatchedFn(lambda x: x, ROW)
    events = engine.add("x", count(run, 0, 3))
    events += engine.tick()
    for event in events:
        assert isinstance(event, Advanced)
        assert event.preview
        event.preview()
    engine.cancel("x")
    assert limits.limits.keys() == {"begin", "step", "preview", "resume", "close"}


def test_a_hung_worker_gives_no_sign_of_life(bench: Bench) -> None:
    process = WorkerProcess(bench.settings.model_copy(update={"hang_timeout": 0.5}), "one")
    dog = Watchdog(Settings(hang_timeout=1), clock=iter(range(100)).__next__)
    heartbeat = Heartbeat(bench.client("one"), process.loop, dog)
    heartbeat.renew()
    assert bench.redis.exists("atelier:lease:one")
    dog.activity("main").enter("begin")
    for _ in range(20):
        dog.look()
    bench.redis.delete("atelier:lease:one")
    heartbeat.renew()
    assert not bench.redis.exists("atelier:lease:one")


HANGING = """
import sys, time
import workers.delivery.delivery
from app.core import log
from app.core.settings import Settings
from models.image.vae import VAE
from workers.main import WorkerProcess

def hang(*_, **__):
    while True:
        time.sleep(0.01)

async def generate(self, params, rng, inputs):
    if sys.argv[1] == "interpreter":
        sum(range(10**13))  # it never lets another thread run
    hang()

log.configure("warning")
if sys.argv[1] == "encoding":
    workers.delivery.delivery.encode = hang
else:
    VAE.generate = generate
WorkerProcess(Settings(), "hanging", alone=sys.argv[1] == "interpreter").work()
"""


@contextmanager
def hanging(bench: Bench, where: str, **changed: str) -> Iterator["subprocess.Popen[bytes]"]:
    settings = bench.settings
    environment = {
        "ATELIER_STATE": str(settings.state),
        "ATELIER_REDIS_URL": settings.redis_address,
        "ATELIER_CHECKPOINTS": str(settings.checkpoints),
        "ATELIER_HANG_TIMEOUT": "1",
        "ATELIER_HEARTBEAT": "0.1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
        **changed,
    }
    command = [sys.executable, "-c", HANGING, where]
    with running_process(command, env=environment, stderr=subprocess.PIPE) as process:
        yield process


def ended(process: "subprocess.Popen[bytes]", status: int = HUNG) -> str:
    """What a process wrote that its watchdog has ended."""
    _, errors = process.communicate(timeout=100)
    assert process.returncode == status, errors.decode()[-2000:]
    return errors.decode()


@pytest.mark.slow
@pytest.mark.parametrize("where", ["begin", "encoding"])
def test_a_job_that_hangs_in_any_phase_ends_the_worker_and_is_charged(
    bench: Bench, where: str
) -> None:
    job = bench.submit()
    with hanging(bench, where) as process:
        said = ended(process)
    assert "in hang" in said, "where it hung is logged"
    assert not bench.redis.exists("atelier:lease:hanging")
    assert [(lost, fate) for _, lost, fate in reap(bench)] == [(job, "put back")]
    assert bench.record(job)["deaths"] == "1"


@pytest.mark.slow
def test_a_thread_that_never_lets_go_of_the_interpreter_ends_the_worker(bench: Bench) -> None:
    bench.submit()
    with hanging(bench, "interpreter") as process:
        assert "in generate" in ended(process, status=1)


@pytest.mark.slow
def test_a_cancel_frees_a_worker_that_is_stuck_in_the_job(bench: Bench) -> None:
    job = bench.submit()
    with hanging(bench, "begin", ATELIER_HANG_TIMEOUT="8") as process:
        bench.until(lambda: bench.record(job).get("status") == "started", 60)
        bench.jobs.cancel("local", job)
        assert "is stuck in a job" in ended(process)
    reap(bench)
    assert bench.fetch(job).status == "canceled"


@pytest.mark.parametrize("end", ["cancel", "delete", "deadline", "lost", ""])
def test_whether_a_job_is_wanted(bench: Bench, end: str) -> None:
    job = bench.submit()
    (claim,) = claim_as(bench, "one")
    if end == "deadline":
        bench.redis.hset(f"rq:job:{job}", "deadline", 1)
    elif end == "lost":
        bench.redis.hset(f"rq:job:{job}", "execution", "another")
    elif end:
        getattr(bench.jobs, end)("local", job)
    assert bench.client("one").wants(claim) is (end == "")


def test_a_job_past_its_deadline_is_not_put_back(bench: Bench) -> None:
    hasty = bench.settings.model_copy(update={"job_deadline": 0.1})
    job = Jobs(bench.redis, hasty).submit(bench.new(1)).job.id
    claim_as(bench, "dead")
    time.sleep(0.15)
    die(bench, "dead")
    reap(bench)
    error = bench.fetch(job).error
    assert error is not None
    assert error.code == "deadline_exceeded"


LOADING = """
import sys, time
from workers import main
from workers.model_cache import ModelCache

ModelCache._build = lambda *_: time.sleep(600)
sys.exit(main.main())
"""


@pytest.mark.slow
def test_a_worker_that_loads_a_model_ends_at_sigterm(bench: Bench) -> None:
    bench.submit()
    environment = {
        "ATELIER_STATE": str(bench.settings.state),
        "ATELIER_REDIS_URL": bench.settings.redis_address,
        "ATELIER_CHECKPOINTS": str(bench.settings.checkpoints),
        "ATELIER_HEARTBEAT": "0.1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    with running_process([sys.executable, "-c", LOADING], env=environment) as process:
        bench.until(lambda: loading(bench), 60)
        process.terminate()
        assert process.wait(60) == 0


def loading(bench: Bench) -> bool:
    return any('"loading"' in bench.redis.get(k) for k in bench.redis.keys("atelier:lease:*"))
