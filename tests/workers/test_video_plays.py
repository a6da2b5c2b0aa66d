"""What MP4 files are for: a browser's video element plays them, in the colours that were made."""

import json
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

from models.artifacts import Video
from workers.encoders.types import Facts
from workers.encoders.video import video_files

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
PAGE = b"""<!doctype html><video id=v muted></video>
<canvas id=c width=64 height=64></canvas><script>
const seen = [], told = (x) => fetch('told', {method: 'POST', body: JSON.stringify(x)});
const pen = document.getElementById('c').getContext('2d', {willReadFrequently: true});
const v = document.getElementById('v');
v.onerror = () => told({error: v.error.message});
function frame(number) {  // once it is shown; a seek may show the one before for a moment
  return new Promise((done) => {
    const shown = (now, {mediaTime}) => {
      if (Math.abs(mediaTime - number / 8) < 0.01) done();
      else v.requestVideoFrameCallback(shown);
    };
    v.requestVideoFrameCallback(shown);
    v.currentTime = (number + 0.5) / 8;
  });
}
async function look() {
  for (const number of [1, 3, 5, 7]) {
    await frame(number);
    pen.drawImage(v, 0, 0, 64, 64);
    seen.push([...pen.getImageData(32, 32, 1, 1).data.slice(0, 3)]);
  }
  v.onended = () => told({
    width: v.videoWidth, height: v.videoHeight, seconds: v.duration, seen, ended: true});
  await v.play();
}
v.onloadeddata = () => { v.onloadeddata = null; look().catch((e) => told({error: String(e)})); };
fetch('video.mp4').then((x) => x.blob()).then((x) => { v.src = URL.createObjectURL(x); });
</script>"""
COLOURS = [(220, 40, 40), (40, 200, 60), (50, 60, 210), (230, 210, 40)]
Told = queue.Queue[dict[str, Any]]


@contextmanager
def stage(video: bytes) -> Iterator[tuple[str, Told]]:
    """A page that plays a video, and what it says of that."""
    heard: Told = queue.Queue()

    class Stage(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            plays = self.path == "/video.mp4"
            self.send_response(200)
            self.send_header("Content-Type", "video/mp4" if plays else "text/html")
            self.end_headers()
            self.wfile.write(video if plays else PAGE)

        def do_POST(self) -> None:
            heard.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Stage) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", heard
        server.shutdown()
        thread.join()


def played(data: bytes, folder: Path) -> dict[str, Any]:
    """What the page says once the video has been played to its end."""
    assert BROWSER is not None
    with stage(data) as (url, heard):
        command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--mute-audio"]
        command += ["--autoplay-policy=no-user-gesture-required", f"--user-data-dir={folder}"]
        with subprocess.Popen([*command, url], stderr=subprocess.DEVNULL) as browser:
            try:
                return heard.get(timeout=90)
            finally:
                browser.terminate()


@pytest.mark.skipif(BROWSER is None, reason="there is no chromium to play it")
def test_a_browser_plays_an_mp4_in_its_colours(tmp_path: Path) -> None:
    colours = torch.tensor(COLOURS).div(255).view(4, 1, 3, 1, 1)
    clip = Video(colours.expand(-1, 2, -1, 64, 64).flatten(0, 1), fps=8.0)
    seen_frames = played(video_files(clip, "mp4", Facts("m", "ab" * 32, {}, 1))[0].data, tmp_path)
    assert "error" not in seen_frames, seen_frames
    assert (
        seen_frames["width"],
        seen_frames["height"],
        seen_frames["seconds"],
        seen_frames["ended"],
    ) == (64, 64, 1.0, True)
    for wanted, seen in zip(COLOURS, seen_frames["seen"], strict=True):
        assert max(abs(a - b) for a, b in zip(wanted, seen, strict=True)) <= 8, seen_frames
