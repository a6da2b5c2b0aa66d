"""Pages of other sites in a real browser: what they can do with a service on the same machine."""

import json
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from app.core.settings import Settings
from tests.app.queue.test_jobs import make
from tests.app.serving import Running, eventually, serving
from tests.app.test_artifacts import PNG, store
from tests.conftest import MODEL

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
PAGE = """<!doctype html><script>
const api = 'API', job = 'JOB', file = 'FILE';
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
async function download(headers, saved) {
  const answer = await fetch(`${api}/artifacts/${file}`, {headers});
  const blob = await answer.blob();
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob); link.download = 'saved.png';
  document.body.append(link);
  if (saved) link.click();  // a browser allows one, unless someone clicks
  return {size: blob.size, type: blob.type, name: answer.headers.get('content-disposition'),
          range: answer.headers.get('content-range')};
}
function picture() {
  return new Promise((done) => {
    const image = new Image();
    image.onload = () => done('loaded'); image.onerror = () => done('refused');
    image.src = `${api}/livez`;
  });
}
addEventListener('load', async () => report({
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
  download: await tried(() => download({}, true)),
  range: await tried(() => download({Range: 'bytes=0-7'}, false)),
}));
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
    """The command of a browser that keeps its files in a folder, and saves downloads into
    `downloads` in it."""
    assert BROWSER is not None
    (folder / "Default").mkdir(parents=True)
    preferences = {"download": {"default_directory": str(folder / "downloads")}}
    (folder / "Default" / "Preferences").write_text(json.dumps(preferences))
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}"]
    return [BROWSER, *options, *more]


@dataclass(frozen=True)
class Tried:
    """What the page says after it has tried everything, and the files that it saved."""

    report: dict[str, Any]
    saved: dict[str, bytes]


def tried(running: Running, site: Site, folder: Path, saves: int) -> Tried:
    """Opens the page, which tries what it can with a job and a file, and waits for its downloads.

    The page of an origin that may not save has none to wait for.
    """
    (job,) = make(running.client)
    sha256 = store(running.client)
    page = PAGE.replace("API", running.url).replace("JOB", job).replace("FILE", sha256)
    site.page = page.replace("MODEL", MODEL)
    with subprocess.Popen(browser(folder, site.url), stderr=subprocess.DEVNULL) as process:
        try:
            report = site.reports.get(timeout=90)
            assert eventually(lambda: len(downloads(folder)) == saves, 30)
        finally:
            process.terminate()
    return Tried({**report, "job": job, "file": sha256}, downloads(folder))


def downloads(folder: Path) -> dict[str, bytes]:
    """The files that were saved as a whole, by name."""
    return {x.name: x.read_bytes() for x in (folder / "downloads").glob("*.png")}


def test_a_page_of_another_site_can_do_nothing(
    settings: Settings, site: Site, tmp_path: Path
) -> None:
    with serving(settings) as running:
        page = tried(running, site, tmp_path / "browser", saves=0)
        listed = running.client.get("/jobs").json()["data"]
        figures = running.client.get("/metrics").text
    report = page.report
    assert [x["id"] for x in listed] == [report["job"]]
    for attempt in ("read", "made", "refusal", "form", "download", "range"):
        assert report[attempt] == "TypeError: Failed to fetch", attempt
    assert (report["events"], report["picture"]) == ("refused", "refused")
    assert not page.saved
    # the figures say that the requests without CORS were refused too
    assert 'method="POST",route="/artifacts",status="201"} 1.0' in figures
    assert 'method="POST",route="none",status="403"' in figures
    assert 'method="GET",route="/artifacts/{sha256}"' not in figures


def test_a_page_of_an_allowed_origin_can_do_all(
    settings: Settings, site: Site, tmp_path: Path
) -> None:
    with serving(settings.model_copy(update={"allowed_origins": (site.url,)})) as running:
        page = tried(running, site, tmp_path / "browser", saves=1)
        newest = running.client.get("/jobs").json()["data"][0]["id"]
    report = page.report
    assert report["read"] == 200
    assert report["made"] == {"status": 202, "location": f"/jobs/{newest}", "request": True}
    assert report["refusal"] == "job_not_found"
    assert report["events"] == {"id": report["job"], "has_event_id": True}
    name = f'inline; filename="{report["file"][:16]}.png"'
    whole = {"size": len(PNG), "type": "image/png", "name": name, "range": None}
    assert report["download"] == whole
    assert report["range"] == {**whole, "size": 8, "range": f"bytes 0-7/{len(PNG)}"}
    assert page.saved == {"saved.png": PNG}


def test_a_name_rebound_to_this_machine_reads_nothing(settings: Settings, tmp_path: Path) -> None:
    with serving(settings) as running:
        port = running.url.rpartition(":")[2]
        rules = "--host-resolver-rules=MAP evil.example 127.0.0.1"
        command = browser(
            tmp_path / "browser", rules, "--dump-dom", f"http://evil.example:{port}/jobs"
        )
        shown = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    assert "host_not_allowed" in shown.stdout
