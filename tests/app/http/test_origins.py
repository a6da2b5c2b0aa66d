"""What pages of other sites can't do with a visitor's browser, and what allowed ones can."""

from collections.abc import Iterator

import httpx
import pytest
from pydantic import ValidationError

from app.core.settings import Settings
from app.core.sites import is_loopback, same_host, split_host
from app.http.origins import EXPOSED
from tests.app.queue.test_jobs import make
from tests.app.serving import Running, serving
from tests.app.test_artifacts import PNG, RAW
from tests.app.test_generate import URL, error_of
from tests.conftest import MODEL

FRIEND = "https://art.example.org"
FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:3000"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
]
LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.fixture
def open_to_a_friend(settings: Settings) -> Iterator[Running]:
    changed = {"allowed_origins": (FRIEND,), "allowed_hosts": ("art.example.org",)}
    with serving(settings.model_copy(update=changed)) as running:
        yield running


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_pages_of_other_sites_are_refused(api: httpx.Client, headers: dict[str, str]) -> None:
    for answer in (
        api.get("/jobs", headers=headers),
        api.get("/livez", headers=headers),
        api.post(URL, json={}, headers=headers),
        api.post("/artifacts", files={"file": PNG}, headers=headers),
        api.post("/v1/videos", files={"prompt": (None, "red heart")}, headers=headers),
        api.options(URL, headers={**headers, "Access-Control-Request-Method": "POST"}),
    ):
        assert (answer.status_code, error_of(answer)["code"]) == (403, "origin_not_allowed")
        assert "access-control-allow-origin" not in answer.headers
    assert api.get("/jobs").json()["data"] == []


def test_a_link_on_another_site_may_be_followed_and_a_form_not_sent(api: httpx.Client) -> None:
    assert api.get("/models", headers=LINK).status_code == 200
    assert api.post("/artifacts", files={"file": PNG}, headers=LINK).status_code == 403
    assert api.get("/models", headers={**LINK, "Origin": "null"}).status_code == 403


def test_pages_of_its_own_are_served(running: Running) -> None:
    for headers in (
        {"Sec-Fetch-Site": "same-origin", "Origin": running.url},
        {"Sec-Fetch-Site": "none"},
        {"Origin": running.url},
        {"Origin": "https://localhost", "Host": "localhost"},  # a proxy has taken TLS off
        {"Origin": "https://art.example.org", "Sec-Fetch-Site": "same-origin"},
    ):
        answer = running.client.post("/artifacts", content=PNG, headers={**RAW, **headers})
        assert answer.status_code == 201, headers


@pytest.mark.parametrize(
    "host", ["evil.example", "10.0.0.1:80", "0.0.0.0", "localhost.evil.example", "a b", "[::1", ""]
)
def test_a_name_that_is_not_this_machines_is_refused(api: httpx.Client, host: str) -> None:
    for answer in (
        api.get("/jobs", headers={"Host": host}),
        api.post(URL, json={"model": MODEL}, headers={"Host": host, "Origin": f"http://{host}"}),
        api.post(URL, json={}, headers={"Host": host, "X-Forwarded-Host": "localhost"}),
    ):
        assert (answer.status_code, error_of(answer)["code"]) == (421, "host_not_allowed")
    assert api.get("/jobs").json()["data"] == []


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST.:99", "127.0.0.1:1", "127.8.8.8", "[::1]:8000", "x.localhost"]
)
def test_a_name_of_this_machine_is_served(api: httpx.Client, host: str) -> None:
    assert api.get("/jobs", headers={"Host": host}).status_code == 200


def test_a_listed_name_is_served(open_to_a_friend: Running) -> None:
    get = open_to_a_friend.client.get
    assert get("/jobs", headers={"Host": "art.example.org:8443"}).status_code == 200
    assert get("/jobs", headers={"Host": "www.art.example.org"}).status_code == 421


def test_an_allowed_origin_reads_answers_and_errors(open_to_a_friend: Running) -> None:
    headers = {"Origin": FRIEND, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
    api = open_to_a_friend.client
    for answer in (
        api.post(URL, json={}, headers=headers),
        api.get("/nope", headers=headers),
        api.get(f"/jobs/{make(api)[0]}", headers=headers),
    ):
        assert answer.headers["access-control-allow-origin"] == FRIEND
        assert answer.headers["vary"] == "Origin"
        exposed = answer.headers["access-control-expose-headers"]
        assert {"Location", "ETag", "Retry-After", "x-request-id"} <= set(exposed.split(", "))
    other = api.get("/livez", headers={"Origin": "https://art.example.org:8443"})
    assert other.status_code == 403


def test_an_allowed_origin_may_ask_beforehand(open_to_a_friend: Running) -> None:
    def preflight(**more: str) -> httpx.Response:
        asked = {"Origin": FRIEND, "Access-Control-Request-Method": "POST"}
        headers = {**asked, **{k.replace("_", "-"): v for k, v in more.items()}}
        return open_to_a_friend.client.options("/v1/chat/completions", headers=headers)

    wanted = "authorization, content-type, idempotency-key, last-event-id, x-stainless-lang"
    answer = preflight(Access_Control_Request_Headers=wanted)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == FRIEND
    assert answer.headers["access-control-allow-headers"] == wanted
    allowed = set(answer.headers["access-control-allow-methods"].split(", "))
    assert allowed == {"GET", "HEAD", "POST", "DELETE"}
    assert preflight(Access_Control_Request_Private_Network="true").status_code == 200
    refused = preflight(Access_Control_Request_Method="BREW")
    assert (refused.status_code, error_of(refused)["code"]) == (400, "invalid_parameter")


def test_every_documented_header_is_exposed(api: httpx.Client) -> None:
    safe = {"cache-control", "content-language", "content-length", "content-type"}
    hidden = {"set-cookie"}  # browsers show it to no page
    known = safe | hidden | {name.lower() for name in EXPOSED}
    for path, operations in api.get("/openapi.json").json()["paths"].items():
        for operation in operations.values():
            for answer in operation["responses"].values():
                assert {name.lower() for name in answer.get("headers", {})} <= known, path


def test_names_of_hosts_are_read() -> None:
    assert split_host("[::1]:80") == ("::1", 80)
    assert split_host("Example.ORG.") == ("example.org", None)
    assert is_loopback("::ffff:127.0.0.1")
    assert not is_loopback("127.0.0.1.example.org")
    for odd in ("", "a/b", "a@b", "a:b", "a:123456", "é"):
        with pytest.raises(ValueError, match="is not a host name"):
            split_host(odd)


def test_origins_are_compared_by_host_and_port() -> None:
    assert same_host("http://a:80", "a", "http")
    assert same_host("https://a", "a:443", "https")
    assert not same_host("http://a", "a", "https")
    assert not same_host("http://a:81", "a", "http")
    assert not same_host("null", "null", "http")
    assert not same_host("file://a", "a", "http")


@pytest.mark.parametrize(
    ("name", "text", "read"),
    [
        ("allowed_hosts", "Art.example.org, ::1", ("art.example.org", "::1")),
        (
            "allowed_origins",
            " https://A.example:443,http://b:1",
            ("https://a.example", "http://b:1"),
        ),
        ("trusted_proxies", "10.0.0.1,10.1.0.0/16,", ("10.0.0.1/32", "10.1.0.0/16")),
        ("allowed_origins", "", ()),
    ],
)
def test_lists_are_read_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, read: tuple[str, ...]
) -> None:
    monkeypatch.setenv(f"ATELIER_{name.upper()}", text)
    assert getattr(Settings(), name) == read


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("allowed_hosts", "https://a"),
        ("allowed_hosts", "a:80"),
        ("allowed_hosts", "*"),
        ("allowed_origins", "*"),
        ("allowed_origins", "https://*.a"),
        ("allowed_origins", "null"),
        ("allowed_origins", "https://a/"),
        ("trusted_proxies", "proxy"),
        ("trusted_proxies", "10.0.0.1/8"),
    ],
)
def test_odd_entries_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.setenv(f"ATELIER_{name.upper()}", text)
    with pytest.raises(ValidationError, match=name):
        Settings()
