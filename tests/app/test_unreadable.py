"""What no script has written: each field of a record and each key is damaged in turn, and every
other job runs on."""

import json

import pytest
import redis

from app.core.schemas import TERMINAL
from app.core.scripts import Scripts
from app.core.settings import Settings
from app.queue.jobs import Jobs, NewJob
from tests.app.serving import Running
from tests.app.working import LUA, Worker

PHASES = ("queued", "started", "ended", "swept")
GARBAGE = ("abc", "", "9" * 40, None)  # None: the field is missing
INPUT = "ab" * 32
MADE = {"sha256": "cd" * 32, "content_type": "image/png", "bytes": 3}


class Service:
    """Jobs and a worker without a model, over an empty server."""

    def __init__(self, connection: "redis.Redis", settings: Settings) -> None:
        self.redis = connection
        self.jobs = Jobs(connection, settings)
        self._own = Scripts(connection, LUA)
        self._shared = Scripts(connection)
        self.reset()

    def reset(self) -> None:
        """An empty server with one uploaded file."""
        self.redis.flushall()
        self.worker = Worker(self.redis)
        self._shared.run("keep", "local", INPUT, "image/png", 3, 3600)

    def submit(self, **inputs: str) -> str:
        kind = {"n": 1, "output_format": "png"}
        new = NewJob("local", "image", "m", "ab" * 32, kind, 1, 1, {}, 1, inputs)
        return self.jobs.submit(new).job.id

    def job_in(self, phase: str) -> str:
        job = self.submit(init_image=INPUT)
        if phase != "queued":
            self.worker.lease()
            assert self.worker.claim() == [job]
        if phase in ("ended", "swept"):
            self.worker.finish(job, output=MADE)
        if phase == "swept":
            self.expire(job)
            self.upkeep()
        return job

    def expire(self, job: str) -> None:
        """Its next time limit has come."""
        if self.redis.zscore("atelier:expiry", job) is not None:
            self.redis.zadd("atelier:expiry", {job: 1})

    def upkeep(self) -> None:
        self._own.run("reap", 0)
        for sha256 in self.worker.sweep():
            self._own.run("doom", sha256, "begin")

    def run_all(self) -> None:
        """Every job that waits runs to its end."""
        self.worker.lease()
        self.worker.claim()
        for job in list(self.worker.running):
            self.worker.progress(job, 1, 2)
            self.worker.finish(job, output=MADE)

    def others_run_on(self, job: str) -> None:
        """All that a service does, with the damaged job among others."""
        other = self.submit(init_image=INPUT)
        self.run_all()
        self.upkeep()
        self.run_all()  # what the reaper gave back
        if self.redis.type(f"rq:job:{job}") == "hash":
            owner = self.redis.hget(f"rq:job:{job}", "owner") or ""
            self.jobs.cancel(owner, job)
            assert self.jobs.fetch(owner, job).status in TERMINAL
        self.expire(job)
        self.upkeep()
        self.expire(job)
        self.upkeep()
        assert self.jobs.fetch("local", other).status == "completed"
        assert self.jobs.fetch("local", self.finished()).status == "completed"

    def finished(self) -> str:
        job = self.submit()
        self.run_all()
        return job


@pytest.fixture
def service(connection: "redis.Redis", settings: Settings) -> Service:
    return Service(connection, settings)


def damage(connection: "redis.Redis", key: str, field: str, value: str | None) -> None:
    if value is None:
        connection.hdel(key, field)
    else:
        connection.hset(key, field, value)


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
def test_any_field_of_a_record_may_hold_anything(service: Service, phase: str) -> None:
    fields = sorted(service.redis.hgetall(f"rq:job:{service.job_in(phase)}"))
    assert len(fields) > 20
    for field in [*fields, "rows", "inputs", "outputs", "deaths", "deaths_alone"]:
        for value in GARBAGE:
            service.reset()
            job = service.job_in(phase)
            damage(service.redis, f"rq:job:{job}", field, value)
            try:
                service.others_run_on(job)
            except Exception as error:
                raise AssertionError(f"{field}={value!r} of a {phase} job") from error


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
def test_any_key_may_have_another_type(service: Service, phase: str) -> None:
    service.job_in(phase)
    count = len(service.redis.keys())
    assert count > 8
    for i in range(count):
        service.reset()
        job = service.job_in(phase)
        keys = sorted(service.redis.keys())
        if i >= len(keys):
            break
        key, kind = keys[i], service.redis.type(keys[i])
        service.redis.delete(key)
        if kind == "string":
            service.redis.rpush(key, "abc")
        else:
            service.redis.set(key, "abc")
        try:
            service.upkeep()
            service.finished()
            service.expire(job)
            service.upkeep()
            assert service.jobs.fetch("local", service.finished()).status == "completed"
        except Exception as error:
            raise AssertionError(f"{kind} {key} of a {phase} job") from error


def test_a_record_with_rows_that_are_none_ends_its_job_and_is_reported(service: Service) -> None:
    job = service.submit(init_image=INPUT)
    service.redis.hset(f"rq:job:{job}", "rows", "abc")
    other = service.submit(init_image=INPUT)
    assert service.worker.claim() == [other]
    ended = service.jobs.fetch("local", job)
    assert (ended.status, ended.error and ended.error.code) == ("failed", "internal_error")
    (report,) = service.redis.lrange("atelier:reports", 0, -1)
    assert json.loads(report) == {"key": f"rq:job:{job}", "reason": "rows is not a number"}
    last = service.redis.xrevrange(f"atelier:events:{job}", count=1)[0][1]
    assert last["event"] == "failed"
    assert service.redis.hget(f"atelier:artifact:{INPUT}", "refs") == "2"  # the upload and `other`


@pytest.mark.parametrize("phase", ["queued", "started"])
def test_a_mark_of_a_follower_may_hold_anything(service: Service, phase: str) -> None:
    job = service.job_in(phase)
    service.redis.hset(f"rq:job:{job}", "followed", "abc")
    Scripts(service.redis).run("follow", job, 15)
    service.redis.hset(f"rq:job:{job}", "followed", "abc")
    service.others_run_on(job)


def test_a_deadline_that_can_not_be_read_is_told_by_no_other_script(service: Service) -> None:
    job = service.job_in("started")
    own = Scripts(service.redis, LUA)
    service.redis.hset(f"rq:job:{job}", "deadline", "abc")
    assert own.run("wanted", job, service.worker.running[job]) == 1
    service.redis.set("atelier:housekeeper", "abc")
    assert own.run("lead", 1) == 1


@pytest.mark.parametrize(("field", "value"), [("ticket", "abc"), ("rows", "-5")])
def test_a_job_that_only_rqs_list_has_may_hold_anything(
    service: Service, field: str, value: str
) -> None:
    job, other = service.submit(), service.submit()
    (waiting,) = service.redis.keys("atelier:waiting:*")
    service.redis.zrem(waiting, job)
    service.redis.hset(f"rq:job:{job}", field, value)
    assert service.worker.claim() == [other]
    assert service.jobs.fetch("local", job).status == "failed"


def test_a_key_of_another_type_is_kept_aside(service: Service) -> None:
    job = service.submit()
    service.redis.delete(f"rq:job:{job}")
    service.redis.set(f"rq:job:{job}", "precious")
    assert service.worker.claim() == []
    assert service.redis.get(f"atelier:unreadable:rq:job:{job}") == "precious"
    assert service.redis.llen("atelier:reports") == 1


def test_jobs_of_a_queue_that_was_set_aside_start_in_their_order(service: Service) -> None:
    jobs = [service.submit() for _ in range(3)]
    (queue,) = service.redis.smembers("rq:queues")
    service.redis.delete(queue)
    service.redis.set(queue, "of another type")
    last = service.submit()
    assert service.redis.lrange(queue, 0, -1) == [*jobs, last]
    assert service.worker.claim() == [*jobs, last]


def test_references_that_can_not_be_read_are_counted_anew(service: Service) -> None:
    job = service.submit(init_image=INPUT)
    service.redis.hset(f"atelier:artifact:{INPUT}", "refs", "abc")
    service.jobs.cancel("local", job)
    assert service.redis.hget(f"atelier:artifact:{INPUT}", "refs") == "1"


def test_one_record_that_can_not_be_read_hides_no_other(
    running: Running, worker: Worker, connection: "redis.Redis"
) -> None:
    api = running.client
    jobs = [api.post("/generate/image", json={}).json()["id"] for _ in range(3)]
    for field in ("input", "metadata", "outputs", "progress", "error", "determinism"):
        connection.hset(f"rq:job:{jobs[1]}", field, '{"a": [1')
        answer = api.get("/jobs")
        assert [job["id"] for job in answer.json()["data"]] == jobs[::-1], field
        seen = api.get(f"/jobs/{jobs[1]}").json()
        assert (seen["status"], seen["error"]["code"]) == ("failed", "internal_error")
        connection.hdel(f"rq:job:{jobs[1]}", field)
        connection.hset(f"rq:job:{jobs[1]}", "input", "{}")
