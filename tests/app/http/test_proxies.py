"""Behind a proxy: what it says is believed where it is trusted, and every URL is right outside."""

from collections.abc import Iterator
from contextvars import copy_context
from typing import Any

import httpx
import pytest

from app.core.job_record import url_prefix
from app.core.settings import Settings
from app.operations.event_stream import sent_event
from app.queue.event_log import Event
from app.queue.jobs import OutcomeUnknown
from tests.app.queue.test_jobs import make
from tests.app.serving import Running, serving
from tests.app.studio import PAINTER, a_studio
from tests.app.test_generate import URL, error_of
from tests.app.working import Worker

OUTSIDE = {
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "art.example.org",
    "X-Forwarded-Prefix": "/atelier/",
}
BEHIND = {"trusted_proxies": ("127.0.0.0/8",), "allowed_hosts": ("art.example.org",)}


@pytest.fixture
def behind(settings: Settings) -> Iterator[Running]:
    with serving(settings.model_copy(update=BEHIND)) as running:
        yield running


def test_a_job_is_addressed_as_the_client_reaches_it(behind: Running) -> None:
    answer = behind.client.post(URL, json={}, headers=OUTSIDE)
    job = answer.json()
    assert answer.headers["location"] == job["urls"]["self"] == f"/atelier/jobs/{job['id']}"
    assert job["urls"]["events"] == f"/atelier/jobs/{job['id']}/events"
    assert behind.client.get(f"/jobs/{job['id']}").json()["urls"]["self"] == f"/jobs/{job['id']}"


def test_so_are_its_outputs(behind: Running, worker: Worker) -> None:
    (job,) = make(behind.client)
    worker.claim()
    facts = {"sha256": "ab" * 32, "content_type": "image/png", "bytes": 9}
    worker.finish(job, output=facts)
    (output,) = behind.client.get(f"/jobs/{job}", headers=OUTSIDE).json()["outputs"]
    assert output["url"] == f"/atelier/artifacts/{'ab' * 32}"


def test_so_are_the_events_of_outputs() -> None:
    event = Event("1-0", "output", '{"index": 0, "url": "/artifacts/ab"}')
    context = copy_context()
    context.run(url_prefix.set, "/atelier")
    assert b'"url": "/atelier/artifacts/ab"' in context.run(sent_event, event)
    assert b'"url": "/artifacts/ab"' in sent_event(event)


@pytest.mark.slow
def test_a_picture_by_url_has_the_address_outside(
    redis_server: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    asked = {"model": PAINTER, "prompt": "a", "response_format": "url", "steps": 2}
    with a_studio(redis_server, tmp_path_factory.mktemp("studio"), **BEHIND) as running:  # type: ignore[arg-type]
        answer = running.client.post("/v1/images/generations", json=asked, headers=OUTSIDE)
        (picture,) = answer.json()["data"]
        start = "https://art.example.org/atelier/artifacts/"
        assert picture["url"].startswith(start)
        sha256 = picture["url"].removeprefix(start)
        assert running.client.get(f"/artifacts/{sha256}", headers=OUTSIDE).status_code == 200


def test_the_document_names_the_prefix(behind: Running) -> None:
    document = behind.client.get("/openapi.json", headers=OUTSIDE).json()
    assert document["servers"] == [{"url": "/atelier"}]
    assert "servers" not in behind.client.get("/openapi.json").json()


def test_a_key_names_one_request_inside_and_outside(behind: Running) -> None:
    key = {"Idempotency-Key": "once"}
    first = behind.client.post(URL, json={}, headers=key)
    again = behind.client.post(URL, json={}, headers={**key, **OUTSIDE})
    assert first.json()["id"] == again.json()["id"]


def test_the_key_of_a_refusal_names_its_request_behind_the_proxy(
    behind: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = behind.services.queue.jobs.submit

    def unanswered(*args: Any) -> None:
        submit(*args)
        raise OutcomeUnknown("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(behind.services.queue.jobs, "submit", unanswered)
        refused = behind.client.post(URL, json={}, headers=OUTSIDE)
    assert refused.status_code == 503
    key = {"Idempotency-Key": refused.headers["idempotency-key"]}
    replayed = behind.client.post(URL, json={}, headers={**key, **OUTSIDE})
    assert replayed.headers["idempotent-replayed"] == "true"
    assert [job["id"] for job in behind.client.get("/jobs").json()["data"]] == [
        replayed.json()["id"]
    ]


def test_a_page_served_by_the_proxy_is_its_own(behind: Running) -> None:
    for origin, status in (
        ("https://art.example.org", 202),
        ("https://evil.example", 403),
        ("http://art.example.org", 403),
    ):
        answer = behind.client.post(URL, json={}, headers={**OUTSIDE, "Origin": origin})
        assert answer.status_code == status, origin


def test_both_names_must_be_allowed_without_keys(behind: Running) -> None:
    rebound = {"Host": "evil.example", "X-Forwarded-Host": "localhost"}
    assert behind.client.get("/jobs", headers=rebound).status_code == 421
    elsewhere = {"X-Forwarded-Host": "evil.example"}
    assert behind.client.get("/jobs", headers=elsewhere).status_code == 421


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Forwarded-Proto", "gopher"),
        ("X-Forwarded-Host", "a/b"),
        ("X-Forwarded-Prefix", "atelier"),
        ("X-Forwarded-Prefix", "//evil.example"),
        ("X-Forwarded-Prefix", "/a?b"),
    ],
)
def test_what_can_not_be_used_is_told(behind: Running, name: str, value: str) -> None:
    answer = behind.client.get("/livez", headers={name: value})
    assert (answer.status_code, error_of(answer)["param"]) == (400, name)


def test_a_chain_of_proxies_tells_the_outermost_first(behind: Running) -> None:
    chain = {**OUTSIDE, "X-Forwarded-Proto": "https, http", "X-Forwarded-Prefix": "/atelier, /x"}
    job = behind.client.post(URL, json={}, headers=chain).json()
    assert job["urls"]["self"].startswith("/atelier/jobs/")


def test_nobody_else_is_believed(api: httpx.Client) -> None:
    answer = api.post(URL, json={}, headers=OUTSIDE)
    assert answer.json()["urls"]["self"].startswith("/jobs/")
    assert api.get("/livez", headers={"X-Forwarded-Proto": "gopher"}).status_code == 200
