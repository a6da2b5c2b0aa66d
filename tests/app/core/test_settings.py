"""Settings that can't be used: each is named, nothing is guessed, and no password is repeated."""

import os
import re
from pathlib import Path

import pytest

from app.core.addresses import check_redis_url, path_url, read_store_address, url_path
from app.core.settings import OTHERS, PREFIX, Misconfigured, Settings, read_settings

ROOT = Path(__file__).resolve().parents[3]
SECRET = "hunter2"

NAMES = [
    b"with space",
    b"a=b",
    b"c#sharp",
    b"what?",
    b"100%",
    b"a%20b",
    b"quotes'\"`",
    b"back\\slash",
    b"new\nline",
    "schön 美".encode(),
    b"\xff\xfe not UTF-8",
    b"--port",
    b";&$(true)",
    b"x" * 200,
]
"""Names that a file system allows, as bytes."""

REDIS_URLS = [
    "localhost:6379",
    "localhost",
    "//localhost:6379",
    "http://localhost:6379",
    "REDIS://localhost:6379",
    "redis:localhost:6379",
    "redis:/localhost",
    f"redis://:{SECRET}#1@localhost:6379",
    f"redis://:{SECRET}/1@localhost:6379",
    f"redis://user:{SECRET}@:6379",
    "redis://localhost:port",
    "redis://localhost:0",
    "redis://localhost:65536",
    "redis://local host:6379",
    "redis://localhost:6379\n",
    " redis://localhost:6379",
    "redis://[::1",
    "redis://localhost:6379/jobs",
    "redis://localhost:6379/0/1",
    "redis://localhost:6379?db=jobs",
    "redis://localhost:6379?colour=red",
    "unix://",
    "unix:///",
    "unix://run/redis.sock",
    "unix:/run/redis.sock",
    "unix:///run/with space.sock",
    "unix:///run/c#.sock",
]
STORES = [
    "/srv/pictures",
    "pictures",
    "gs://bucket",
    "s3:bucket",
    "s3://",
    "s3:///prefix",
    "s3://bucket/#1",
    "s3://bucket?region=x",
    "s3://key@bucket",
    "file://host/folder",
    "file://folder",
    "file:folder",
    "file:///srv/c#",
    "file:///srv/what?",
    "file:///new\nline",
    "http://[::1",
]


@pytest.mark.parametrize("url", REDIS_URLS)
def test_a_redis_url_of_a_wrong_form_is_refused_without_its_password(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_REDIS_URL", url)
    with pytest.raises(Misconfigured, match=r"^ATELIER_REDIS_URL: ") as caught:
        read_settings()
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://localhost:6379/0",
        "redis:///3",
        "redis://user:p%40ss@redis.example.org:6380/15?socket_timeout=3",
        "redis://[::1]:6379",
        "rediss://localhost:6379",
        "unix:///run/with%20space.sock",
        f"unix://:{SECRET}@/run/redis.sock?db=2",
    ],
)
def test_a_redis_url_of_a_right_form_is_taken(url: str) -> None:
    check_redis_url(url)


@pytest.mark.parametrize("address", STORES)
def test_a_store_of_a_wrong_form_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_STORE", address)
    with pytest.raises(Misconfigured, match=r"^ATELIER_STORE: a store is file:///folder or s3:"):
        read_settings()


def test_a_space_in_a_store_means_itself() -> None:
    assert read_store_address("file:///with space").folder == Path("/with space")


@pytest.mark.parametrize("name", NAMES)
def test_any_path_survives_a_url(name: bytes) -> None:
    path = Path(os.fsdecode(b"/srv/" + name))
    url = path_url("file", path)
    assert read_store_address(url).folder == path
    assert url_path(url.removeprefix("file://")) == path


@pytest.mark.parametrize("name", NAMES)
def test_the_state_folder_may_have_any_name(name: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    state = Path(os.fsdecode(b"/srv/" + name))
    monkeypatch.setenv("ATELIER_STATE", str(state))
    settings = read_settings()
    assert settings.state == state
    assert read_store_address(settings.store_address).folder == state / "artifacts"


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"ATELIER_WORKERS": "0"}, "ATELIER_WORKERS: .*greater than or equal to 1"),
        ({"ATELIER_PORT": "many"}, "ATELIER_PORT: .*valid integer"),
        ({"ATELIER_LEASE": "2"}, "ATELIER_HEARTBEAT: 2 s must be shorter than ATELIER_LEASE, 2 s"),
        ({"ATELIER_HEARTBEAT": "10"}, "ATELIER_HEARTBEAT: 10 s must be shorter than .*, 10 s"),
        ({"ATELIER_LEASE": "soon"}, "ATELIER_LEASE: .*valid number"),
        ({"ATELIER_WORKER": "2"}, "ATELIER_WORKER is no setting; the nearest is ATELIER_WORKERS"),
        ({"ATELIER_REDIS": "x"}, "ATELIER_REDIS is no setting; .* ATELIER_REDIS_URL"),
        ({"atelier_prot": "1"}, "atelier_prot is no setting; .* ATELIER_PORT"),
        ({"ATELIER_Q": "1"}, "ATELIER_Q is no setting; "),
    ],
)
def test_a_bad_setting_is_named(
    environment: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Misconfigured, match=f"^{message}"):
        read_settings()


def test_every_variable_that_the_code_reads_is_known() -> None:
    known = OTHERS | {PREFIX + name.upper() for name in Settings.model_fields}
    folders = ("app", "atelier", "bench", "models", "training", "workers")
    sources = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    for path in [*sources, ROOT / "docker-compose.yml", ROOT / "Dockerfile", ROOT / "Makefile"]:
        for name in re.findall(r"\bATELIER_[A-Z][A-Z_]*[A-Z]\b", path.read_text()):
            assert name in known, f"{path.relative_to(ROOT)} reads {name}"
    for name in OTHERS:
        assert any(name in path.read_text() for path in sources), f"nothing reads {name}"
