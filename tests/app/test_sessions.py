"""Sessions of browsers: a cookie reads what its key may read, and does nothing else."""

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis
from itsdangerous import Signer

from app.core.settings import Settings
from app.sessions import COOKIE
from tests.app.queue.test_jobs import make
from tests.app.serving import Running, serving
from tests.app.test_artifacts import PNG, store
from tests.app.test_generate import URL, error_of

ANN, BOB = (hashlib.sha256(f"{name}-key".encode()).hexdigest() for name in ("ann", "bob"))
SECRET = "atelier:session-secret"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(f"ann {ANN} metrics\nbob {BOB}\n")
    return path


@pytest.fixture
def service(settings: Settings, file: Path) -> Iterator[Running]:
    update = {"keys_file": file, "trusted_proxies": ("127.0.0.1",)}
    with serving(settings.model_copy(update=update)) as running:
        yield running


@pytest.fixture
def ann(service: Running) -> Iterator[httpx.Client]:
    with service.as_key("ann-key") as client:
        yield client


@pytest.fixture
def page(service: Running, ann: httpx.Client) -> Iterator[httpx.Client]:
    """A browser with the cookie of Ann's session, and without a key."""
    with httpx.Client(base_url=service.url, cookies=dict(ann.post("/session").cookies)) as client:
        yield client


def with_cookie(service: Running, cookie: str) -> httpx.Response:
    return service.client.get("/session", headers={"Cookie": f"{COOKIE}={cookie}"})


def signed(connection: "redis.Redis", payload: str, digest: str) -> str:
    """A cookie made by hand: HMAC-SHA256, with the shared secret and the key's hash."""
    secret = f"{connection.get(SECRET)}{digest}"
    signer = Signer(secret, COOKIE, key_derivation="hmac", digest_method=hashlib.sha256)
    return signer.sign(payload).decode()


def test_a_cookie_reads_what_its_key_may_read(ann: httpx.Client, page: httpx.Client) -> None:
    (job,) = make(ann)
    sha = store(ann)
    assert page.get(f"/jobs/{job}").json()["id"] == job
    assert page.get(f"/artifacts/{sha}").content == PNG
    assert page.head(f"/artifacts/{sha}").status_code == 200
    assert page.get("/metrics").status_code == 200
    seen = page.get("/session").json()
    assert 3500 < seen.pop("expires_at") - time.time() <= 3600
    assert seen == {
        "object": "session",
        "owner": "ann",
        "scopes": ["metrics"],
        "keys_required": True,
    }


def test_a_cookie_changes_nothing(ann: httpx.Client, page: httpx.Client) -> None:
    (job,) = make(ann)
    for method, path in (
        ("POST", URL),
        ("POST", "/artifacts"),
        ("POST", f"/jobs/{job}/cancel"),
        ("DELETE", f"/jobs/{job}"),
        ("POST", "/session"),
        ("POST", "/v1/images/generations"),
    ):
        answer = page.request(method, path)
        assert (answer.status_code, error_of(answer)["code"]) == (401, "invalid_api_key"), path
    assert ann.get(f"/jobs/{job}").json()["status"] == "queued"


def test_a_header_wins_over_the_cookie(page: httpx.Client) -> None:
    bob = {"Authorization": "Bearer bob-key"}
    seen = page.get("/session", headers=bob).json()
    assert (seen["owner"], seen["expires_at"]) == ("bob", None)
    for wrong in ("Bearer nope", "Bearer", "Basic YTpi"):
        assert page.get("/session", headers={"Authorization": wrong}).status_code == 401


def test_only_what_a_key_has_signed_counts(
    service: Running, ann: httpx.Client, connection: "redis.Redis"
) -> None:
    cookie = ann.post("/session").cookies[COOKIE]
    ends = int(cookie.split(".")[1])
    assert with_cookie(service, signed(connection, f"ann.{ends}", ANN)).json()["owner"] == "ann"
    for wrong in (
        signed(connection, f"ann.{ends}", BOB),
        signed(connection, f"cal.{ends}", ANN),
        f"ann.{ends + 1}.{cookie.rpartition('.')[2]}",
        cookie.replace("ann.", "bob."),
        cookie[:-1],
        f"{cookie}a",
        f"ann.{ends}",
        "ann..",
        "..",
        "",
        "x" * 3000,
    ):
        answer = with_cookie(service, wrong)
        assert (answer.status_code, error_of(answer)["code"]) == (401, "invalid_api_key"), wrong
    past = with_cookie(service, signed(connection, f"ann.{int(time.time())}", ANN))
    assert "has ended" in error_of(past)["message"]
    assert past.status_code == 401


def test_a_key_that_is_removed_ends_its_sessions(page: httpx.Client, file: Path) -> None:
    assert page.get("/jobs").status_code == 200
    other = hashlib.sha256(b"another").hexdigest()
    file.write_text(f"ann {other} metrics models\nbob {BOB}\n")  # a new key of the same name
    assert page.get("/jobs").status_code == 401


def test_all_processes_share_the_secret(
    service: Running, page: httpx.Client, connection: "redis.Redis"
) -> None:
    with serving(service.services.settings) as other:
        assert with_cookie(other, page.cookies[COOKIE]).json()["owner"] == "ann"
    first = connection.get(SECRET)
    assert len(bytes.fromhex(first)) == 32
    connection.delete(SECRET)
    connection.rpush(SECRET, "no secret")  # an operator's mistake is set aside
    assert page.get("/jobs").status_code == 401
    assert connection.get(SECRET) != first


def test_the_cookie_is_for_this_service_alone(service: Running, ann: httpx.Client) -> None:
    plain = ann.post("/session").headers["set-cookie"]
    assert plain.endswith("; HttpOnly; Max-Age=3600; Path=/; SameSite=strict")
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/atelier/"}
    outside = ann.post("/session", headers=forwarded).headers["set-cookie"]
    assert outside.endswith("; HttpOnly; Max-Age=3600; Path=/atelier; SameSite=strict; Secure")
    ended = service.client.delete("/session", headers=forwarded)
    assert ended.json() == {"object": "session.deleted", "deleted": True}
    assert "Max-Age=0; Path=/atelier;" in ended.headers["set-cookie"]


def test_no_page_of_another_site_uses_the_cookie(page: httpx.Client) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"}
    answer = page.get("/jobs", headers=headers)
    assert (answer.status_code, error_of(answer)["code"]) == (403, "origin_not_allowed")
    assert page.get("/jobs", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_without_keys_nobody_needs_a_session(settings: Settings) -> None:
    with serving(settings) as running:
        for answer in (running.client.post("/session"), running.client.get("/session")):
            assert answer.json() == {
                "object": "session",
                "owner": "local",
                "scopes": ["metrics", "models"],
                "keys_required": False,
                "expires_at": None,
            }
            assert "set-cookie" not in answer.headers
            assert answer.headers["cache-control"] == "no-store"
