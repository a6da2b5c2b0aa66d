"""Outputs and jobs in notebooks: pictures, players and texts, with the bytes in the HTML."""

import re
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import pytest

from atelier import Client, GoneError, Job, Output
from atelier.client.display import LARGEST
from tests.atelier.client.test_service_schema import PNG, SHA, App, Service, serving

DATA = re.compile(r'src="data:([\w/]+);base64,([\w+/=]+)"')


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


def job_with(client: Client, service: Service, *outputs: dict[str, Any]) -> Job:
    """A completed job with these outputs, each of the stored file unless it says otherwise."""
    job = client.image()
    fields = {"index": 0, "role": "picture", "sha256": SHA, "seed": 1, "bytes": len(PNG)}
    service.ended(job.id)["outputs"] = [fields | output for output in outputs]
    return job.refresh()


def shown(client: Client, service: Service, **output: Any) -> Output:
    return job_with(client, service, output).outputs[0]


def test_a_png_is_shown_as_it_is(client: Client, service: Service) -> None:
    output = shown(client, service, content_type="image/png")
    assert output._repr_png_() == PNG
    assert output._repr_html_() is None


@pytest.mark.parametrize(
    ("content_type", "element"),
    [
        ("image/webp", "img"),
        ("image/gif", "img"),
        ("image/jpeg", "img"),
        ("audio/wav", "audio"),
        ("audio/mpeg", "audio"),
        ("video/mp4", "video"),
    ],
)
def test_other_files_are_elements_that_hold_their_bytes(
    client: Client, service: Service, content_type: str, element: str
) -> None:
    output = shown(client, service, content_type=content_type)
    html = output._repr_html_()
    assert output._repr_png_() is None
    assert html.startswith(f"<{element} ")
    name, data = DATA.search(html).groups()
    assert (name, b64decode(data)) == (content_type, PNG)


def test_a_text_is_shown_without_a_request(client: Client, service: Service) -> None:
    text = {"content_type": "text/plain; charset=utf-8", "text": "a < b\n&", "title": "<b>"}
    output = shown(client, service, role="text", **text)
    service.asked.clear()
    html = output._repr_html_()
    assert html.startswith("<h4>&lt;b&gt;</h4><div ")
    assert "a &lt; b\n&amp;" in html
    assert not service.asked


@pytest.mark.parametrize("content_type", ["audio/midi", "application/json", '"><script>'])
def test_what_no_browser_shows_is_named(
    client: Client, service: Service, content_type: str
) -> None:
    output = shown(client, service, content_type=content_type)
    service.asked.clear()
    html = output._repr_html_()
    assert html.startswith("<code>&lt;Output 0 ")
    assert "<script>" not in html
    assert not service.asked


def test_a_large_file_is_named_and_not_fetched(client: Client, service: Service) -> None:
    for content_type in ("image/png", "video/mp4"):
        output = shown(client, service, content_type=content_type, bytes=LARGEST + 2**20)
        service.asked.clear()
        assert output._repr_png_() is None
        assert "33 MiB are not shown; save() writes it" in output._repr_html_()
        assert not service.asked


def test_a_job_shows_all_outputs_within_a_limit(client: Client, service: Service) -> None:
    large = {"content_type": "video/mp4", "bytes": LARGEST - len(PNG)}
    png = {"content_type": "image/png"}
    html = job_with(client, service, png, large, png)._repr_html_()
    assert html.count("<img ") == 1
    assert html.count("<video ") == 1
    assert html.count("are not shown") == 1  # the third, since two fill the limit
    assert "completed&gt;</code>" in html


def test_a_job_without_outputs_shows_its_status(client: Client, service: Service) -> None:
    job = client.image()
    assert job._repr_html_().endswith("queued&gt;</code></div><div>0%</div>")
    service.ended(job.id, "failed")["error"]["message"] = "<too big>"
    assert job.refresh()._repr_html_().endswith("<div>&lt;too big&gt;</div>")


def test_a_file_that_is_gone_raises_its_error(client: Client, service: Service) -> None:
    output = shown(client, service, content_type="image/webp", sha256="0" * 64)
    with pytest.raises(GoneError):
        output._repr_html_()
