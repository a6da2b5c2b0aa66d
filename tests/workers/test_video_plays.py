"""What MP4 files are for: a browser's video element plays them, in the colours that were made."""

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from models.artifacts import Video
from workers.files import Facts
from workers.video_files import video_files

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
PAGE = """<!doctype html><video id=v muted src="data:video/mp4;base64,%s"></video>
<canvas id=c width=64 height=64></canvas><pre id=told></pre><script>
const seen = [], told = (x) => { document.getElementById('told').textContent = JSON.stringify(x); };
const pen = document.getElementById('c').getContext('2d', {willReadFrequently: true});
const v = document.getElementById('v');
v.onerror = () => told({error: v.error.message});
async function look() {
  for (const at of [0.05, 0.30, 0.55, 0.80]) {
    v.currentTime = at;
    await new Promise((done) => { v.onseeked = done; });
    pen.drawImage(v, 0, 0, 64, 64);
    seen.push([...pen.getImageData(32, 32, 1, 1).data.slice(0, 3)]);
  }
  v.onended = () => told({
    width: v.videoWidth, height: v.videoHeight, seconds: v.duration, seen, ended: true});
  v.playbackRate = 4;
  await v.play();
}
v.onloadeddata = () => { v.onloadeddata = null; look().catch((e) => told({error: String(e)})); };
</script>"""
COLOURS = [(220, 40, 40), (40, 200, 60), (50, 60, 210), (230, 210, 40)]


def played(data: bytes, folder: Path) -> dict[str, Any]:
    """What the page says of the video once it has been played to its end."""
    assert BROWSER is not None
    page = folder / "page.html"
    page.write_text(PAGE % base64.b64encode(data).decode())
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--mute-audio"]
    command += ["--autoplay-policy=no-user-gesture-required", f"--user-data-dir={folder / 'user'}"]
    command += ["--virtual-time-budget=20000", "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    found = re.search(r"<pre id=\"told\">(.+?)</pre>", done.stdout)
    assert found is not None, done.stderr[-2000:]
    return dict(json.loads(found[1].replace("&gt;", ">").replace("&quot;", '"')))


@pytest.mark.skipif(BROWSER is None, reason="there is no chromium to play it")
def test_a_browser_plays_an_mp4_in_its_colours(tmp_path: Path) -> None:
    colours = torch.tensor(COLOURS).div(255).view(4, 1, 3, 1, 1)
    clip = Video(colours.expand(-1, 2, -1, 64, 64).flatten(0, 1), fps=8.0)
    told = played(video_files(clip, "mp4", Facts("m", "ab" * 32, {}, 1))[0].data, tmp_path)
    assert "error" not in told, told
    assert (told["width"], told["height"], told["seconds"], told["ended"]) == (64, 64, 1.0, True)
    for wanted, seen in zip(COLOURS, told["seen"], strict=True):
        assert max(abs(a - b) for a, b in zip(wanted, seen, strict=True)) <= 8, told
