"""The Studio's page and its files, as a browser asks for them."""

import gzip
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.core.settings import Settings
from app.web.assets import HERE, Assets
from app.web.routes import POLICY
from tests.app.serving import Running, serving

STATIC = HERE / "static"


def links(page: str) -> list[str]:
    return re.findall(r'(?:href|src)="([^"]+)"', page)


@pytest.mark.parametrize("path", ["/", "/studio", "/studio/gallery", "/studio/results/job_1/0"])
def test_the_page_is_served_at_each_of_its_addresses(api: httpx.Client, path: str) -> None:
    answer = api.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.text == api.get("/").text


def test_the_page_and_its_files_fit_its_policy(api: httpx.Client) -> None:
    """No script, style or handler is inline, and every file comes from the service itself."""
    page = api.get("/").text
    assert re.findall(r"<script(?![^>]* src=)", page) == []
    assert not re.search(r"<style|\sstyle=|\son\w+=", page)
    for address in links(page):
        assert address.startswith("/assets/")
        answer = api.get(address)
        assert answer.status_code == 200, address
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_modules_ask_for_nothing_outside_and_write_no_markup() -> None:
    """Addresses of other hosts are links alone. Markup in a text is never parsed."""
    for path in STATIC.rglob("*.js"):
        source = path.read_text()
        assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|eval\(", source), path
        assert not re.search(r"https?://(?!www\.w3\.org)", source), path
        for imported in re.findall(r"from '([^']+)'", source):
            assert imported.startswith("."), (path, imported)
            assert (path.parent / imported).resolve().is_file(), (path, imported)


def test_files_are_compressed_and_kept(api: httpx.Client) -> None:
    address = next(x for x in links(api.get("/").text) if x.endswith("/static/main.js"))
    with api.stream("GET", address, headers={"Accept-Encoding": "gzip"}) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        assert gzip.decompress(b"".join(answer.iter_raw())) == (STATIC / "main.js").read_bytes()
    plain = api.get(address, headers={"Accept-Encoding": "identity, gzip;q=0"})
    assert "content-encoding" not in plain.headers
    assert plain.content == (STATIC / "main.js").read_bytes()
    assert api.head(address).status_code == 200


def test_a_page_that_has_not_changed_is_not_sent_again(api: httpx.Client) -> None:
    tag = api.get("/").headers["etag"]
    answer = api.get("/", headers={"If-None-Match": tag})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["content-security-policy"] == POLICY


@pytest.mark.parametrize(
    "path", ["static/none.js", "../page.html", "%2e%2e/page.html", "routes.py"]
)
def test_other_files_are_not_served(api: httpx.Client, path: str) -> None:
    answer = api.get(f"/assets/{Assets().version}/{path}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


def test_files_of_another_version_are_not_found(api: httpx.Client) -> None:
    assert api.get("/assets/0123456789abcdef/static/main.js").status_code == 404


def test_the_version_follows_every_file(tmp_path: Path) -> None:
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "a.js").write_text("1")
    before = Assets(tmp_path).version
    (tmp_path / "static" / "a.js").write_text("2")
    changed = Assets(tmp_path).version
    (tmp_path / "static" / "a.js").rename(tmp_path / "static" / "b.js")
    assert len({before, changed, Assets(tmp_path).version}) == 3


@pytest.fixture(scope="module")
def behind_proxy(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("proxied")
    settings = Settings(
        state=folder,
        redis_url=redis_server,
        checkpoints=folder / "none",
        trusted_proxies=["127.0.0.1"],
    )
    with serving(settings) as running:
        yield running


def test_a_proxys_prefix_is_in_every_address(behind_proxy: Running) -> None:
    page = behind_proxy.client.get("/studio", headers={"X-Forwarded-Prefix": "/ai"}).text
    assert '<html lang="en" data-prefix="/ai">' in page
    assert all(address.startswith("/ai/assets/") for address in links(page))
    assert 'data-prefix=""' in behind_proxy.client.get("/studio").text


@pytest.mark.parametrize("folder", sorted((HERE / "vendor").iterdir()), ids=lambda x: x.name)
def test_vendored_files_are_those_of_their_packages(folder: Path) -> None:
    """`VERSION.txt` says where they come from, and `SHA256SUMS.txt` is as sha256sum writes it."""
    assert (folder / "VERSION.txt").is_file()
    sums = (folder / "SHA256SUMS.txt").read_text().splitlines()
    listed = {name: digest for digest, name in (line.split("  ") for line in sums)}
    own = {"VERSION.txt", "SHA256SUMS.txt"}
    assert set(listed) == {x.name for x in folder.iterdir()} - own
    for name, digest in listed.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name


def test_a_listing_is_compressed_for_those_who_accept_it(api: httpx.Client) -> None:
    with api.stream("GET", "/models", headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) == len(raw)
    plain = api.get("/models", headers={"Accept-Encoding": "identity"})
    assert gzip.decompress(raw) == plain.content
    assert "Accept-Encoding" in plain.headers["vary"]
