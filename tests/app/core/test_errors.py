"""Every error in one shape, and what surrounds every request: ids, headers, limits, log lines."""

import json
import logging
import socket
import sys
from typing import Any

import httpx
import pytest
import redis

from app.core import errors, log
from app.core.schemas import ErrorBody
from app.http.openapi_examples import ERRORS
from app.queue.job_reader import JobReader
from app.queue.jobs import Jobs
from tests.app.queue.test_jobs import make
from tests.app.serving import Running
from tests.app.test_generate import URL, error_of

SECRETS = ("Traceback", "/work", "site-packages", "redis", "Redis", "rq:", ".py", "lua")


@pytest.mark.parametrize(
    "path", ["/jobs/", "/nope", "/jobs/a/b", "/generate", "/v1", "/assets", "/docs/"]
)
def test_where_nothing_is(api: httpx.Client, path: str) -> None:
    answer = api.get(path)
    assert (answer.status_code, error_of(answer)["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/generate/image", {"POST"}),
        ("PUT", "/jobs/x", {"GET", "HEAD", "DELETE"}),
        ("POST", "/jobs", {"GET", "HEAD"}),
        ("OPTIONS", "/artifacts/x", {"GET", "HEAD"}),
        ("TRACE", "/models", {"GET", "HEAD"}),
        ("BREW", "/jobs/x/cancel", {"POST"}),
    ],
)
def test_a_method_that_is_not_there(
    api: httpx.Client, method: str, path: str, allowed: set[str]
) -> None:
    answer = api.request(method, path)
    assert (answer.status_code, error_of(answer)["code"]) == (405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) == allowed


def subclasses(kind: type[errors.AtelierError]) -> list[type[errors.AtelierError]]:
    return [kind, *(x for sub in kind.__subclasses__() for x in subclasses(sub))]


@pytest.mark.parametrize("kind", subclasses(errors.AtelierError), ids=lambda k: k.__name__)
def test_every_error_is_drawn_and_says_whether_to_retry(kind: type[errors.AtelierError]) -> None:
    error = kind("words")
    drawn = errors.__doc__ or ""
    assert kind.__name__ in drawn
    assert kind is errors.AtelierError or str(kind.status) in drawn
    if kind.status in (429, 503):
        assert "Retry-After" in error.headers
    elif kind.status not in (408, 500):
        assert error.headers["x-should-retry"] == "false"


def test_documented_errors_are_of_the_shape() -> None:
    for _, kind, code, message in ERRORS.values():
        detail = {"message": message, "type": kind, "param": None, "code": code}
        ErrorBody.model_validate({"error": detail})


def test_an_error_of_ours_is_told_without_its_secrets(
    running: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: Any) -> Any:
        raise RuntimeError("/work/secret rq:job:1")

    monkeypatch.setattr(JobReader, "list", fail)
    answer = running.client.get("/jobs")
    assert answer.status_code == 500
    assert error_of(answer)["code"] == "internal_error"
    assert answer.headers["x-request-id"].startswith("req_")
    assert "x-should-retry" not in answer.headers
    assert not any(word in answer.text for word in SECRETS)
    assert any(r.exc_info for r in caplog.records)


def test_a_script_that_fails_is_an_error_of_ours(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise redis.ResponseError("ERR user_script:3: Script attempted to do rq:job")

    monkeypatch.setattr(Jobs, "submit", fail)
    answer = running.client.post(URL, json={})
    assert answer.status_code == 500
    assert not any(word in answer.text for word in SECRETS)


@pytest.mark.parametrize("reply", ["MISCONF Errors writing to the AOF file", "BUSY Redis is busy"])
def test_a_server_that_cant_write_is_away(
    running: Running, monkeypatch: pytest.MonkeyPatch, reply: str
) -> None:
    def fail(*_: Any) -> Any:
        raise redis.ResponseError(reply)

    monkeypatch.setattr(Jobs, "submit", fail)
    answer = running.client.post(URL, json={})
    assert (answer.status_code, error_of(answer)["code"]) == (503, "queue_unavailable")
    assert "retry-after" in answer.headers


def test_a_server_whose_disk_is_full_is_said_to_be_so(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise redis.ResponseError("MISCONF Errors writing to /a/file: No space left on device")

    monkeypatch.setattr(Jobs, "submit", fail)
    answer = running.client.post(URL, json={})
    assert (answer.status_code, error_of(answer)["code"]) == (503, "queue_unavailable")
    assert error_of(answer)["message"].startswith("the queue can't be written: the disk is full")


def test_after_acceptance_a_retry_is_discouraged(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> Any:
        raise RuntimeError("after")

    monkeypatch.setattr("app.operations.wait.JobWaiter.wait_for_end", fail)
    answer = running.client.post(URL, json={}, headers={"Prefer": "wait=1"})
    assert (answer.status_code, answer.headers["x-should-retry"]) == (500, "false")
    assert len(running.client.get("/jobs").json()["data"]) == 1


def test_a_sane_request_id_is_kept(api: httpx.Client) -> None:
    def id_for(request_id: str) -> str:
        headers = {b"x-request-id": request_id.encode()}
        return str(api.get("/livez", headers=headers).headers["x-request-id"])

    assert id_for("mine-1.2_3") == "mine-1.2_3"
    for odd in ("", "a b", "é", "x" * 129, '"}'):
        assert id_for(odd).startswith("req_")


@pytest.mark.parametrize("path", ["/livez", "/nope", "/jobs", "/openapi.json"])
def test_every_reply_has_the_security_headers(api: httpx.Client, path: str) -> None:
    expected = {
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
        "referrer-policy": "no-referrer",
        "x-frame-options": "DENY",
    }
    headers = dict(api.get(path).headers)
    assert expected.items() <= headers.items()
    assert "server" not in headers


@pytest.mark.slow
def test_a_body_that_says_it_is_too_large_is_refused(api: httpx.Client) -> None:
    answer = api.post(URL, content=bytes(100_000_000), headers={"Content-Type": "application/json"})
    assert (answer.status_code, error_of(answer)["code"]) == (413, "payload_too_large")
    assert "100000 bytes" in error_of(answer)["message"]


def test_a_body_that_grows_too_large_is_refused(api: httpx.Client) -> None:
    chunks = (b" " * 10_000 for _ in range(10_000))
    answer = api.post(URL, content=chunks, headers={"Content-Type": "application/json"})
    assert (answer.status_code, error_of(answer)["code"]) == (413, "payload_too_large")


@pytest.mark.parametrize("length", ["nonsense", "-5", "9" * 30, "²"])
def test_an_odd_content_length_is_no_500(running: Running, length: str) -> None:
    host, _, port = running.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(
            f"POST {URL} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{{}}".encode()
        )
        raw.shutdown(socket.SHUT_WR)
        first = raw.makefile("rb").readline()
    assert first.split()[1] in (b"400", b"413")


def test_a_client_that_leaves_in_mid_body_is_no_error(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    host, _, port = running.url.removeprefix("http://").partition(":")
    with caplog.at_level(logging.INFO):
        with socket.create_connection((host, int(port))) as raw:
            raw.sendall(
                f"POST {URL} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                "Content-Length: 500\r\n\r\n{".encode()
            )
        make(running.client)
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []


def test_a_log_line_is_one_json_object() -> None:
    record = logging.makeLogRecord({"msg": "a %s\n", "args": ("b",), "name": "x", "job": "job_1"})
    token = log.request_id.set("req_1")
    try:
        int("no")
    except ValueError:
        record.exc_info = sys.exc_info()
    text = log.JsonLines().format(record)
    log.request_id.reset(token)
    line = json.loads(text)
    assert "\n" not in text
    assert (line["message"], line["job"], line["request_id"]) == ("a b\n", "job_1", "req_1")
    assert "ValueError" in line["exception"]
