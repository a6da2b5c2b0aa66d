"""The client's calls: what they give, what they raise, and when they are tried again."""

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.responses import HTMLResponse

import atelier
from atelier import (
    APIError,
    AuthenticationError,
    BadRequestError,
    Client,
    ConflictError,
    ConnectionFailed,
    GoneError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
)
from atelier.client.errors import retry_after
from tests.atelier.client.test_service_schema import PNG, SHA, App, Service, refusal, serving


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


def test_what_is_asked_for_arrives(client: Client, service: Service) -> None:
    job = client.image(n=4, seed=1, metadata={"for": "me"}, temperature=0.5, truncation=None)
    expected = {"n": 4, "seed": 1, "metadata": {"for": "me"}, "temperature": 0.5}
    assert service.jobs[job.id]["input"] == expected | {"truncation": None}
    assert (job.status, job.seed, job.type, job.model) == ("queued", 1, "image", "vae-fashion")
    assert (job.progress.value, job.outputs, job.error) == (0.0, [], None)
    assert client.job(job.id).data == job.data


def test_a_job_is_refreshed_canceled_and_deleted(client: Client, service: Service) -> None:
    job = client.image()
    service.ended(job.id)
    assert not job.ended
    assert job.refresh().status == "completed"
    other = client.image()
    assert other.cancel().status == "canceled"
    other.delete()
    assert list(service.jobs) == [job.id]
    with pytest.raises(NotFoundError):
        other.refresh()


def test_a_delete_whose_answer_breaks_off_is_a_delete(client: Client, service: Service) -> None:
    job = client.image()
    service.breaks = 1
    job.delete()
    assert [r.method for r in service.asked] == ["POST", "DELETE", "DELETE"]
    assert not service.jobs
    job.delete()  # what is gone is gone


def test_outputs_are_read_and_saved(client: Client, service: Service, tmp_path: Path) -> None:
    job = client.image(seed=5)
    service.ended(job.id)
    (output,) = job.refresh().outputs
    assert (output.index, output.seed, output.size) == (0, 5, len(PNG))
    assert (output.sha256, output.content_type) == (SHA, "image/png")
    assert output.read() == PNG
    path = output.save(str(tmp_path / "a.png"))
    assert path == tmp_path / "a.png"
    assert path.read_bytes() == PNG
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_saved_leaves_nothing(
    client: Client, service: Service, tmp_path: Path
) -> None:
    job = client.image()
    service.ended(job.id)
    (output,) = job.refresh().outputs
    with pytest.raises(OSError, match="directory"):
        output.save(tmp_path)
    assert list(tmp_path.parent.glob(".*.part")) == []
    (tmp_path / "a.png").write_text("before")
    service.files.clear()
    with pytest.raises(GoneError):
        output.save(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_text() == "before"


@pytest.mark.parametrize("page", [1, 3, 100])
def test_jobs_come_in_pages(client: Client, service: Service, page: int) -> None:
    ids = [client.image().id for _ in range(7)][::-1]
    service.page = page
    assert [job.id for job in client.jobs()] == ids
    assert [job.id for job in client.jobs(limit=4)] == ids[:4]
    assert list(client.jobs(limit=0)) == []
    service.ended(ids[2])
    assert [job.id for job in client.jobs(status="completed")] == [ids[2]]
    assert list(client.jobs(status="failed")) == []
    newest = client.job(ids[0]).data
    assert [job.id for job in client.jobs(model=newest["model"], limit=2)] == ids[:2]
    assert list(client.jobs(q="no-such-word", created_after=0)) == []
    assert list(client.jobs(created_before=newest["created_at"] - 100)) == []


def test_models_and_uploads(client: Client, service: Service, tmp_path: Path) -> None:
    assert [card["id"] for card in client.models()] == ["vae-fashion", "a/b"]
    assert client.model("a/b") == {"id": "a/b"}
    file = tmp_path / "x.png"
    file.write_bytes(b"picture")
    stored = [client.upload(source) for source in (file, str(file), b"picture")]
    assert [s["content_type"] for s in stored] == ["image/png"] * 2 + ["application/octet-stream"]
    assert {service.files[s["sha256"]] for s in stored} == {b"picture"}
    assert client.upload(b"x", "audio/midi")["content_type"] == "audio/midi"


@pytest.mark.slow
def test_a_refused_submit_waits_and_comes_again_with_its_key(
    client: Client, service: Service
) -> None:
    soon = {"Retry-After": "1"}
    service.refusals += [refusal(429, "queue_full", soon), refusal(503, "no_workers")]
    job = client.image()
    assert len(service.asked) == 3
    assert len({r.headers["idempotency-key"] for r in service.asked}) == 1
    assert list(service.jobs) == [job.id]


@pytest.mark.slow
def test_an_answer_that_breaks_off_makes_no_second_job(client: Client, service: Service) -> None:
    service.breaks = 2
    job = client.image()
    assert len(service.asked) == 3
    assert list(service.jobs) == [job.id]
    assert client.image().id != job.id


def test_a_key_of_ones_own_names_the_job(client: Client) -> None:
    first = client.submit("image", {"seed": 3}, idempotency_key="mine")
    assert client.submit("image", {"seed": 3}, idempotency_key="mine").id == first.id


def page(status: int) -> HTMLResponse:
    return HTMLResponse("<h1>Welcome to nginx!</h1>", status)


ERRORS = [
    (400, BadRequestError),
    (401, AuthenticationError),
    (403, PermissionDeniedError),
    (404, NotFoundError),
    (409, ConflictError),
    (410, GoneError),
    (413, APIError),
    (422, BadRequestError),
    (500, ServerError),
    (502, ServerError),
]


@pytest.mark.parametrize(("status", "kind"), ERRORS)
def test_an_error_is_told_once_by_its_class(
    client: Client, service: Service, status: int, kind: type[APIError]
) -> None:
    service.refusals.append(refusal(status, "some_code"))
    with pytest.raises(APIError) as caught:
        client.image()
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.code, error.param) == (status, "some_code", "steps")
    assert (error.message, error.request_id) == ("refused: some_code", "req_1")
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    "headers", [{"x-should-retry": "false", "Retry-After": "0"}, {"Retry-After": "3600"}]
)
def test_what_a_retry_cannot_cure_soon_is_told_at_once(
    client: Client, service: Service, headers: dict[str, str]
) -> None:
    service.refusals.append(refusal(429, "quota_exceeded", headers))
    with pytest.raises(RateLimitError) as caught:
        client.image()
    assert caught.value.retry_after == float(headers["Retry-After"])
    assert len(service.asked) == 1


def test_retries_are_bounded(running: tuple[str, App], service: Service) -> None:
    service.refusals += [refusal(503, "no_workers", {"Retry-After": "0"}) for _ in range(9)]
    with Client(running[0], max_retries=1) as client, pytest.raises(ServerError):
        client.models()
    assert len(service.asked) == 2


def test_an_error_of_a_proxy_is_an_error(client: Client, service: Service) -> None:
    service.refusals.append(page(502))
    with pytest.raises(ServerError) as caught:
        client.models()
    assert (caught.value.code, caught.value.message) == ("unknown", "HTTP 502")


def test_who_is_not_atelier_is_told_apart(client: Client, service: Service) -> None:
    service.refusals.append(page(200))
    with pytest.raises(ConnectionFailed, match="not Atelier"):
        client.models()


def test_nobody_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but it does not listen
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with Client(url, max_retries=1) as client, pytest.raises(ConnectionFailed, match=url):
            client.models()


def test_where_and_who_come_from_the_environment(
    running: tuple[str, App], service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_URL", running[0])
    monkeypatch.setenv("ATELIER_API_KEY", "from-env")
    for key in (None, "given"):
        with Client(api_key=key) as client:
            client.models()
    keys = [r.headers["authorization"] for r in service.asked]
    assert keys == ["Bearer from-env", "Bearer given"]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7.0), ("", None), ("-1", None), ("soon", None), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0)],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert retry_after(httpx.Response(429, headers={"Retry-After": value})) == seconds


def test_every_export_is_there() -> None:
    for name in atelier.__all__:
        exec(f"from atelier import {name}")
    with pytest.raises(ImportError):
        exec("from atelier import Nothing")
