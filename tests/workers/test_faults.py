"""Whatever one job raises fails that job alone; any other error ends the worker as broken."""

import logging
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
import torch

import workers.delivery.delivery
from bench.noop import register
from models.artifacts import Image
from models.checkpoint.header import Header
from models.checkpoint.weights import save
from models.engine.batching import BatchedFn
from models.engine.engine import Engine
from models.engine.flow import Inputs, Step
from models.families import FAMILIES
from models.image.vae import VAE
from models.params.base import VAEParams
from tests.models.families import tiny_checkpoint
from tests.workers.conftest import Bench
from tests.workers.jobs.test_running_jobs import Floor
from tests.workers.test_worker import reap
from workers.encoders.encode import encode
from workers.encoders.types import Encoded, Facts
from workers.jobs.messages import ItemDone, JobDone
from workers.jobs.running_job import RunningJob
from workers.jobs.running_jobs import RunningJobs
from workers.main import FAILED, WorkerProcess
from workers.queue_client import QueueClient

SECRET = "/srv/secret is not there"


def raising(error: BaseException) -> Callable[..., Any]:
    def raises(*_: Any, **__: Any) -> Any:
        raise error

    return raises


@pytest.mark.parametrize(
    "generate",
    [
        raising(TypeError(SECRET)),
        raising(SystemExit(3)),
        lambda *_: None,
        lambda self, params: None,  # it does not take what it is called with
    ],
)
def test_a_job_that_raises_before_its_first_await_fails_and_its_worker_lives(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, generate: Any
) -> None:
    process = bench.worker()
    with monkeypatch.context() as patch:
        patch.setattr(VAE, "generate", generate)
        job = bench.wait(bench.submit(1))
    assert (job.status, job.attempt) == ("failed", 1)
    assert job.error is not None
    assert job.error.code == "internal_error"
    assert SECRET not in job.error.message
    assert bench.wait(bench.submit(2)).status == "completed"
    assert process.worker.broken is None


def failing_at(stage: str) -> Any:
    """A VAE's flow that goes wrong in this way."""

    async def generate(self: VAE, params: VAEParams, rng: torch.Generator, inputs: Inputs) -> Any:
        wrong: dict[str, Any] = {
            "progress": {"progress": ("one", 2)},
            "no progress": {"progress": None},
            "delta": {"delta": 5},
            "exit": {},
            "shapes": {},
        }
        if stage == "exit":
            raise SystemExit(1)
        row = (torch.zeros(8), torch.zeros(1)) if stage == "shapes" else (torch.zeros(8),)
        return (Image(await Step(self.decode, row, **wrong[stage])),)

    return generate


@pytest.mark.parametrize("stage", ["progress", "no progress", "delta", "exit", "shapes"])
def test_a_flow_that_goes_wrong_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    loop = Floor(tiny_checkpoint(tmp_path, "vae"))
    loop.submit("good")
    loop.run()  # what this function costs is known from now on
    loop.submit("mate")
    with monkeypatch.context() as patch:
        patch.setattr(VAE, "generate", failing_at(stage))
        loop.submit("bad")
    loop.run()
    ends = {m.claim.job: m.outcome for m in loop.sent if isinstance(m, JobDone)}
    assert ends == {"good": "finished", "mate": "finished", "bad": "failed"}
    assert not len(loop.engine)


@pytest.mark.parametrize("method", ["facts", "totals", "flow", "supply"])
def test_an_error_around_a_flow_fails_its_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    loop = Floor(tiny_checkpoint(tmp_path, "vae"))
    claim = loop.submit("bad", init_image="ab" * 32)
    original = getattr(RunningJob, method)

    def fragile(self: RunningJob, *args: Any) -> Any:
        if not self.over:
            raise KeyError(method)
        return original(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(RunningJob, method, fragile)
        loop.runs.supply(claim, {"init_image": Image(torch.zeros(3, 8, 8))})
        loop.runs.admit()
        loop.run()
    (end,) = [m for m in loop.sent if isinstance(m, JobDone)]
    assert (end.outcome, type(end.error)) == ("failed", KeyError)


def test_a_lost_device_is_no_jobs_fault_wherever_it_shows(tmp_path: Path) -> None:
    loop = Floor(tiny_checkpoint(tmp_path, "vae"))

    async def flow() -> Any:
        raise torch.AcceleratorError("illegal memory access")

    with pytest.raises(torch.AcceleratorError):
        loop.engine.add("x", flow())


@pytest.mark.parametrize(
    "fields",
    [{"input": "[]"}, {"input": "{"}, {"seed": ""}, {"input": '{"temperature": {}}'}],
)
def test_a_record_that_can_not_be_read_fails_its_job(bench: Bench, fields: dict[str, str]) -> None:
    job = bench.submit(1)
    bench.redis.hset(f"rq:job:{job}", mapping=fields)  # type: ignore[arg-type]
    process = bench.worker()
    bench.until(lambda: bench.record(job)["status"] == "failed")
    assert process.worker.broken is None
    assert bench.wait(bench.submit(2)).status == "completed"


def broken_by(bench: Bench, name: str, where: Any, method: str, act: Any) -> BaseException | None:
    """What a worker's process raises whose idle loop meets an error that is no job's."""
    process = WorkerProcess(bench.settings, name)
    with ThreadPoolExecutor(1) as pool, pytest.MonkeyPatch.context() as patch:
        patch.setattr(where, method, act)
        try:
            return pool.submit(process.work).exception(20)
        finally:
            process.worker.request_stop(15, None)
            process.worker.request_stop(15, None)


def test_an_error_in_the_idle_loop_ends_the_worker_as_broken(bench: Bench) -> None:
    look = raising(ZeroDivisionError("no job's fault"))
    assert isinstance(broken_by(bench, "one", QueueClient, "look", look), ZeroDivisionError)


def test_an_error_that_only_rq_sees_ends_the_worker_as_broken(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = WorkerProcess(bench.settings, "one")
    monkeypatch.setattr(process.worker, "check_for_suspension", raising(redis.TimeoutError()))
    with pytest.raises(RuntimeError, match="RQ's loop ended"):
        process.work()


def test_an_idle_worker_that_breaks_charges_the_jobs_that_it_held(bench: Bench) -> None:
    def admit(self: RunningJobs) -> None:
        if self.claims:
            raise ZeroDivisionError("no job's fault")

    job = bench.submit()
    for death in range(4):
        broken = broken_by(bench, f"dead{death}", RunningJobs, "admit", admit)
        assert isinstance(broken, ZeroDivisionError)
        reap(bench)
    ended = bench.fetch(job)
    assert ended.error is not None
    assert (ended.status, ended.error.code) == ("failed", "worker_lost")


BROKEN = """
import sys
from workers import main
from workers.queue_client import QueueClient

def look(*_): raise RuntimeError("it broke")
QueueClient.look = look
sys.exit(main.main())
"""


@pytest.mark.slow
def test_a_broken_worker_says_so_and_exits_with_its_status(bench: Bench) -> None:
    environment = {
        "ATELIER_STATE": str(bench.settings.state),
        "ATELIER_REDIS_URL": bench.settings.redis_address,
        "ATELIER_CHECKPOINTS": str(bench.settings.checkpoints),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    ended = subprocess.run(
        [sys.executable, "-c", BROKEN],
        env=environment,
        timeout=100,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == FAILED
    assert '"level": "critical"' in ended.stderr
    assert "it broke" in ended.stderr


def test_what_can_not_be_said_of_a_job_fails_it_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(artifact: Image, output_format: str, facts: Facts) -> tuple[Encoded, ...]:
        files = encode(artifact, output_format, facts)
        notes: Any = (object(),) if facts.seed == 2 else ()  # no JSON can hold it
        return tuple(replace(file, notes=notes) for file in files)

    monkeypatch.setattr(workers.delivery.delivery, "encode", odd)
    bench.worker()
    ids = [bench.submit(i) for i in range(4)]
    jobs = [bench.wait(i, 8) for i in ids]
    assert [j.status for j in jobs] == ["completed", "completed", "failed", "completed"]
    assert jobs[2].error is not None
    assert jobs[2].error.code == "internal_error"


def test_a_message_that_can_not_be_worded_fails_its_job_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = workers.delivery.result_builder.ResultBuilder.output

    def torn(self: Any, item: ItemDone) -> Any:
        if item.facts.seed == 2:
            raise KeyError("torn")
        return output(self, item)

    monkeypatch.setattr(workers.delivery.result_builder.ResultBuilder, "output", torn)
    bench.worker()
    ids = [bench.submit(i) for i in range(4)]
    assert [bench.wait(i, 8).status for i in ids] == [
        *("completed", "completed"),
        *("failed", "completed"),
    ]


def test_a_worker_stops_though_delivery_is_full_and_redis_away(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers.delivery.delivery, "BATCH", 1)
    monkeypatch.setattr(workers.delivery.delivery, "MESSAGES", 1)
    monkeypatch.setattr("workers.worker_loop.CLOSE_SECONDS", 0.1)
    with monkeypatch.context() as patch:
        patch.setattr(QueueClient, "say", raising(redis.ConnectionError("away")))
        process = bench.worker(drain_grace=0.2)
        ids = [bench.submit(i) for i in range(8)]
        bench.until(lambda: process._delivery.behind)
        bench.stop(process)
    bench.worker("two")
    for i in ids:
        assert bench.wait(i).status == "completed"


def test_nothing_is_made_while_delivery_is_behind(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers.delivery.delivery, "BATCH", 1)
    monkeypatch.setattr(workers.delivery.delivery, "MESSAGES", 1)
    ticks: list[int] = []
    tick = Engine.tick

    def counted(self: Engine) -> Any:
        ticks.append(1)
        return tick(self)

    monkeypatch.setattr(Engine, "tick", counted)
    with monkeypatch.context() as patch:
        patch.setattr(QueueClient, "say", raising(redis.ConnectionError("away")))
        process = bench.worker()
        ids = [bench.submit(i, n=4) for i in range(8)]
        bench.until(lambda: process._delivery.behind)
        before = len(ticks)
        for i in ids:
            bench.jobs.cancel("local", i)  # what is claimed sees it: the loop goes on
        bench.until(lambda: all(run.over for run in process.loop._runs._runs.values()))
        assert len(ticks) <= before + 1  # one may have been under way
    for i in ids:
        assert bench.wait(i).status in ("canceled", "completed")


def test_the_noop_family_of_the_benches_runs(bench: Bench) -> None:
    register()
    try:
        folder = bench.settings.checkpoints
        save(folder / "noop.safetensors", Header(family="noop", net={}), {"w": torch.zeros(1)})
        bench.worker()
        assert bench.wait(bench.submit(model="noop")).status == "completed"
    finally:
        del FAMILIES["noop"]


def test_a_batch_that_is_split_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def narrow(x: torch.Tensor) -> torch.Tensor:
        if len(x) > 1:
            raise torch.OutOfMemoryError("no room")
        return x

    run: BatchedFn[torch.Tensor] = BatchedFn(narrow, (torch.zeros(1),), pad_to=None)
    engine = Engine(torch.device("cpu"))

    async def flow() -> Any:
        return (Image((await Step(run, run.example)).reshape(1, 1, 1)),)

    for i in range(2):
        engine.add(i, flow())
    with caplog.at_level(logging.WARNING):
        assert len(engine.tick()) == 4
    assert "a batch failed" in caplog.text


def test_a_flow_that_does_not_close_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    run: BatchedFn[torch.Tensor] = BatchedFn(lambda x: x, (torch.zeros(1),))
    engine = Engine(torch.device("cpu"))

    async def stubborn() -> Any:
        try:
            await Step(run, run.example)
        finally:
            raise RuntimeError("it can't give back what it holds")

    engine.add("x", stubborn())
    with caplog.at_level(logging.WARNING):
        engine.cancel("x")
    assert "a flow did not close" in caplog.text
