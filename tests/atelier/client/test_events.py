"""Jobs followed to their ends: every event once, whatever happens to the connections."""

from collections.abc import Iterator

import pytest
from starlette.responses import HTMLResponse

from atelier import (
    BadRequestError,
    Client,
    ConnectionFailed,
    Event,
    Job,
    JobCanceled,
    JobFailed,
    NotFoundError,
    WaitTimeout,
)
from tests.atelier.client.test_service_schema import PNG, App, Service, refusal, serving

NAMES = ["status", "progress", "progress", "progress", "completed"]


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[str, App]]:
    with serving() as served:
        yield served


@pytest.fixture
def service(running: tuple[str, App]) -> Service:
    _, app = running
    app.service = Service()
    return app.service


@pytest.fixture
def client(running: tuple[str, App], service: Service) -> Iterator[Client]:
    with Client(running[0]) as client:
        yield client


@pytest.fixture
def job(client: Client) -> Job:
    return client.image(seed=9)


def test_events_tell_what_happens(job: Job, service: Service) -> None:
    service.work(job.id)
    seen, values = [], []
    for event in job.events():
        seen.append(event)
        values.append(job.progress.value)
    assert [e.name for e in seen] == NAMES
    assert [e.id for e in seen] == ["1-0", "2-0", "3-0", "4-0", "5-0"]
    assert seen[1].data["step"] == 1
    assert values[:4] == [0, 1 / 3, 2 / 3, 1]
    assert job.status == "completed"
    assert job.outputs[0].read() == PNG


@pytest.mark.slow
def test_drops_in_mid_stream_lose_and_repeat_nothing(job: Job, service: Service) -> None:
    service.work(job.id)
    service.drops = [600, 5, 200]  # in the second event; in an id; after an event
    assert [e.id for e in job.events()] == ["1-0", "2-0", "3-0", "4-0", "5-0"]
    assert service.drops == []


def test_a_service_that_is_away_for_a_moment_is_waited_for(job: Job, service: Service) -> None:
    service.work(job.id)
    service.drops = [600]
    events = job.events()
    first = next(events)
    service.refusals.append(refusal(503, "queue_unavailable", {"Retry-After": "0"}))
    assert [first.name, *(e.name for e in events)] == NAMES


def test_a_job_that_has_ended_has_one_event(job: Job, service: Service) -> None:
    service.log.append(("completed", service.ended(job.id)))
    job.wait()
    assert list(job.events()) == [Event("completed", job.data, "1-0")]


def test_wait_gives_the_job(job: Job, service: Service) -> None:
    service.work(job.id)
    assert job.wait(timeout=20) is job
    assert (job.status, job.outputs[0].seed) == ("completed", 9)
    asked = len(service.asked)
    assert job.wait().ended
    assert len(service.asked) == asked


def test_wait_tells_a_failure(job: Job, service: Service) -> None:
    service.work(job.id, status="failed")
    with pytest.raises(JobFailed, match="too big") as caught:
        job.wait()
    assert caught.value.job is job
    assert caught.value.code == "out_of_memory"
    with pytest.raises(JobFailed):
        job.wait()


def test_wait_tells_a_cancel(job: Job) -> None:
    job.cancel()
    with pytest.raises(JobCanceled) as caught:
        job.wait()
    assert (caught.value.job, caught.value.code) == (job, "canceled")


@pytest.mark.parametrize("seconds", [0, 0.2])
def test_wait_ends_in_time_though_the_stream_is_alive(
    client: Client, job: Job, service: Service, seconds: float
) -> None:
    service.log.append(("status", dict(job.data)))
    service.hangs = True
    with pytest.raises(WaitTimeout) as caught:
        job.wait(seconds)
    assert caught.value.job is job
    assert client.job(job.id).status == "queued"
    service.hangs = False
    service.work(job.id)
    assert job.wait(20).status == "completed"


def test_an_end_that_was_seen_before_is_asked_for(job: Job, service: Service) -> None:
    service.log.append(("status", dict(job.data)))
    service.ended(job.id)
    assert [e.name for e in job.events()] == ["status"]  # then 204
    assert job.status == "completed"


def test_a_job_that_is_gone_is_not_followed(job: Job, service: Service) -> None:
    service.work(job.id)
    service.drops = [600]
    events = job.events()
    next(events)
    del service.jobs[job.id]
    with pytest.raises(NotFoundError):
        list(events)


def test_what_cannot_be_followed_is_told(job: Job, service: Service) -> None:
    service.refusals += [refusal(422, "invalid_parameter"), HTMLResponse("<h1>hello</h1>")]
    with pytest.raises(BadRequestError):
        job.wait()
    with pytest.raises(ConnectionFailed, match="not Atelier"):
        job.wait()


def test_drops_in_a_row_are_bounded(running: tuple[str, App], service: Service) -> None:
    with Client(running[0], max_retries=0) as client:
        job = client.image()
        service.work(job.id)
        service.drops = [5]
        with pytest.raises(ConnectionFailed):
            job.wait()


def test_a_reader_may_leave(job: Job, client: Client, service: Service) -> None:
    service.work(job.id)
    for event in job.events():
        if event.name == "progress":
            break
    assert client.job(job.id).status == "completed"
