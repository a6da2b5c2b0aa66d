"""The API reference at /docs: nothing inline, nothing of other hosts, and a browser draws it."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.core.settings import Settings
from app.web.reference_route import POLICY
from tests.app.serving import Running, serving
from tests.app.test_browser import BROWSER, browser
from tests.app.web.test_page import links

PREFIX = {"X-Forwarded-Prefix": "/ai"}


@pytest.fixture(scope="module")
def keyed(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("reference")
    (folder / "keys").write_text(f"ann {'ab' * 32}\n")
    settings = Settings(
        state=folder,
        redis_url=redis_server,
        checkpoints=folder / "none",
        keys_file=folder / "keys",
        trusted_proxies=["127.0.0.1"],
    )
    with serving(settings) as running:
        yield running


def test_nothing_is_inline_and_nothing_is_of_other_hosts(api: httpx.Client) -> None:
    answer = api.get("/docs")
    assert answer.headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    assert "http" not in POLICY
    page = answer.text
    assert re.findall(r"<script(?![^>]* src=)", page) == []
    assert not re.search(r"<style|\sstyle=|\son\w+=", page)
    icon, *addresses = links(page)
    assert icon == "data:,"
    assert len(addresses) == 3
    for address in addresses:
        assert address.startswith("/assets/")
        assert api.get(address).status_code == 200, address
    again = api.get("/docs", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    script = next(x for x in addresses if x.endswith("reference.js"))
    assert "validatorUrl: null" in api.get(script).text


def test_it_needs_no_key_and_follows_a_prefix(keyed: Running) -> None:
    page = keyed.client.get("/docs", headers=PREFIX).text
    assert 'data-prefix="/ai"' in page
    assert all(x.startswith("/ai/assets/") for x in links(page)[1:])
    assert 'data-prefix=""' in keyed.client.get("/docs").text


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="there is no chromium to open pages with")
def test_a_browser_draws_every_operation(keyed: Running, tmp_path: Path) -> None:
    """With the button for a key. Chromium prints the page once nothing more is to come."""
    options = ("--virtual-time-budget=20000", "--dump-dom", f"{keyed.url}/docs")
    command = browser(tmp_path / "browser", *options)
    page = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True).stdout
    drawn = re.findall(r'id="operations-(?!tag-)[^"]+"', page)
    paths = keyed.client.get("/openapi.json").json()["paths"]
    assert len(set(drawn)) == sum(len(operations) for operations in paths.values())
    assert "btn authorize" in page
    assert "Failed to load" not in page
