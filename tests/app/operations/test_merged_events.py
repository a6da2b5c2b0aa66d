"""GET /jobs/events: several jobs over one connection, each as in a stream of its own."""

from collections import defaultdict

import httpx
import pytest
import redis

from app.operations.merged_events import split_id
from app.routes.events import MOST_JOBS
from tests.app.operations.test_event_stream import Sent, events_of, ids_of, parsed
from tests.app.queue.test_jobs import make
from tests.app.serving import Running, eventually
from tests.app.test_generate import error_of
from tests.app.working import Worker

URL = "/jobs/events"


def read(api: httpx.Client, jobs: list[str], last: str | None = None) -> list[Sent]:
    headers = {} if last is None else {"Last-Event-ID": last}
    with api.stream("GET", URL, params={"job": jobs}, headers=headers) as answer:
        assert answer.status_code == 200
        return list(parsed(answer.iter_lines()))


def job_of(event: Sent) -> str:
    return str(event.data.get("job_id") or event.data["id"])


def ended(api: httpx.Client, worker: Worker, count: int = 3) -> list[str]:
    """Jobs that have run and ended, each with its progress in the log."""
    jobs = make(api, count)
    for _ in jobs:
        worker.claim()
    for step in range(1, 4):
        for job in jobs:
            worker.progress(job, step, 3)
    for job in jobs:
        worker.finish(job)
    return jobs


def test_each_job_has_the_events_of_its_own_stream(api: httpx.Client, worker: Worker) -> None:
    jobs = ended(api, worker)
    own = defaultdict(list)
    for event in read(api, jobs):
        own[job_of(event)].append((event.name, event.data))
    assert own == {job: [(e.name, e.data) for e in events_of(api, job)] for job in jobs}


def test_a_reader_that_drops_anywhere_misses_nothing_and_sees_nothing_twice(
    api: httpx.Client, worker: Worker, connection: "redis.Redis"
) -> None:
    jobs = ended(api, worker)
    first = ",".join(ids_of(connection, job)[0] for job in jobs)
    every = read(api, jobs, first)
    assert len(every) == sum(len(ids_of(connection, job)) - 1 for job in jobs)
    for at in (0, 2, len(every) - 2):
        rest = read(api, jobs, every[at].id)
        for job in jobs:
            before = [(e.name, e.data) for e in every[: at + 1] if job_of(e) == job]
            after = [(e.name, e.data) for e in rest if job_of(e) == job]
            assert before + after == [(e.name, e.data) for e in every if job_of(e) == job]


def test_who_has_seen_every_end_is_told_to_stop(api: httpx.Client, worker: Worker) -> None:
    jobs = ended(api, worker)
    last = read(api, jobs)[-1].id
    answer = api.get(URL, params={"job": jobs}, headers={"Last-Event-ID": last})
    assert (answer.status_code, answer.content) == (204, b"")


def test_a_job_that_ended_before_does_not_hold_up_the_others(
    api: httpx.Client, worker: Worker, connection: "redis.Redis"
) -> None:
    (done,) = ended(api, worker, 1)
    (job,) = make(api)
    worker.claim()
    last = f"{ids_of(connection, done)[-1]},-"
    with api.stream(
        "GET", URL, params={"job": [done, job]}, headers={"Last-Event-ID": last}
    ) as answer:
        events = parsed(answer.iter_lines())
        assert job_of(next(events)) == job
        worker.finish(job)
        assert [e.name for e in events][-1] == "completed"


def test_a_client_that_leaves_frees_every_place(running: Running) -> None:
    jobs = make(running.client, 3)
    with running.client.stream("GET", URL, params={"job": jobs}) as answer:
        events = parsed(answer.iter_lines())
        assert {job_of(next(events)) for _ in jobs} == set(jobs)
        assert running.services.notifier.listeners == 3
    assert eventually(lambda: running.services.notifier.listeners == 0)


@pytest.mark.parametrize("count", [0, MOST_JOBS + 1])
def test_the_number_of_jobs_is_bounded(api: httpx.Client, count: int) -> None:
    answer = api.get(URL, params={"job": [f"job_{n:026}" for n in range(count)]})
    assert (answer.status_code, error_of(answer)["param"]) == (422, "job")


def test_a_job_named_twice_or_unknown_is_refused(api: httpx.Client) -> None:
    (job,) = make(api)
    twice = api.get(URL, params={"job": [job, job]})
    assert (twice.status_code, error_of(twice)["param"]) == (422, "job")
    for unknown in ("job_" + "0" * 26, "x"):
        answer = api.get(URL, params={"job": [job, unknown]})
        assert (answer.status_code, error_of(answer)["code"]) == (404, "job_not_found")
        assert error_of(answer)["param"] == "job"


@pytest.mark.parametrize(
    ("last", "positions"),
    [(None, [None] * 2), ("1-1", [None] * 2), ("1-1,-", ["1-1", None]), ("a,b,c", [None] * 2)],
)
def test_an_id_has_a_place_for_each_job(last: str | None, positions: list[str | None]) -> None:
    assert split_id(last, 2) == positions
