"""Pages of other sites in a real browser: what they can do with a service on the same machine."""

import json
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from app.core.settings import Settings
from tests.app.queue.test_jobs import make
from tests.app.serving import Running, serving
from tests.conftest import MODEL

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
PAGE = """<!doctype html><script>
const api = 'API', job = 'JOB';
const report = (x) => fetch('report', {method: 'POST', body: JSON.stringify(x)});
const png = new Blob([new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10, 0])]);
async function tried(ask) { try { return await ask(); } catch (error) { return String(error); } }
function form() { const form = new FormData(); form.append('file', png, 'a'); return form; }
const bare = {method: 'POST', mode: 'no-cors'};
function events() {
  return new Promise((done) => {
    const source = new EventSource(`${api}/jobs/${job}/events`);
    source.addEventListener('status', (event) => {
      source.close(); done({id: JSON.parse(event.data).id, has_event_id: event.lastEventId != ''});
    });
    source.onerror = () => { source.close(); done('refused'); };
  });
}
function picture() {
  return new Promise((done) => {
    const image = new Image();
    image.onload = () => done('loaded'); image.onerror = () => done('refused');
    image.src = `${api}/livez`;
  });
}
(async () => report({
  read: await tried(async () => (await fetch(`${api}/jobs`)).status),
  made: await tried(async () => {
    const answer = await fetch(`${api}/generate/image`, {
      method: 'POST', body: JSON.stringify({model: 'MODEL'}),
      headers: {'Content-Type': 'application/json', 'Idempotency-Key': 'page'}});
    return {status: answer.status, location: answer.headers.get('location'),
            request: answer.headers.get('x-request-id') !== null};
  }),
  refusal: await tried(async () => {
    const answer = await fetch(`${api}/jobs/none`);
    return (await answer.json()).error.code;
  }),
  form: await tried(async () => (await fetch(`${api}/artifacts`, {...bare, body: form()})).type),
  events: await events(),
  picture: await picture(),
}))();
</script>"""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="there is no chromium to open pages with"),
]


class Site(ThreadingHTTPServer):
    """Another site: its page, and what the page reports."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Visit)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.page = ""
        self.reports: queue.Queue[dict[str, Any]] = queue.Queue()


class Visit(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.server.page.encode())

    def do_POST(self) -> None:
        self.server.reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def browser(folder: Path, *more: str) -> list[str]:
    assert BROWSER is not None
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}"]
    return [BROWSER, *options, *more]


def reported(running: Running, job: str, site: Site, folder: Path) -> dict[str, Any]:
    """What the page says after it has tried everything."""
    site.page = PAGE.replace("API", running.url).replace("JOB", job).replace("MODEL", MODEL)
    with subprocess.Popen(browser(folder, site.url), stderr=subprocess.DEVNULL) as process:
        try:
            return site.reports.get(timeout=90)
        finally:
            process.terminate()


def test_a_page_of_another_site_can_do_nothing(
    settings: Settings, site: Site, tmp_path: Path
) -> None:
    with serving(settings) as running:
        (job,) = make(running.client)
        report = reported(running, job, site, tmp_path / "browser")
        listed = running.client.get("/jobs").json()["data"]
        figures = running.client.get("/metrics").text
    assert [x["id"] for x in listed] == [job]
    assert report["read"] == report["made"] == report["refusal"] == "TypeError: Failed to fetch"
    assert (report["events"], report["picture"]) == ("refused", "refused")
    assert report["form"] == "TypeError: Failed to fetch"  # the figures say that it was refused
    assert 'method="POST",route="/artifacts"' not in figures
    assert 'method="POST",route="none",status="403"' in figures


def test_a_page_of_an_allowed_origin_can_do_all(
    settings: Settings, site: Site, tmp_path: Path
) -> None:
    with serving(settings.model_copy(update={"allowed_origins": (site.url,)})) as running:
        (job,) = make(running.client)
        report = reported(running, job, site, tmp_path / "browser")
        newest = running.client.get("/jobs").json()["data"][0]["id"]
    assert report["read"] == 200
    assert report["made"] == {"status": 202, "location": f"/jobs/{newest}", "request": True}
    assert report["refusal"] == "job_not_found"
    assert report["events"] == {"id": job, "has_event_id": True}


def test_a_name_rebound_to_this_machine_reads_nothing(settings: Settings, tmp_path: Path) -> None:
    with serving(settings) as running:
        port = running.url.rpartition(":")[2]
        rules = "--host-resolver-rules=MAP evil.example 127.0.0.1"
        command = browser(
            tmp_path / "browser", rules, "--dump-dom", f"http://evil.example:{port}/jobs"
        )
        shown = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    assert "host_not_allowed" in shown.stdout
