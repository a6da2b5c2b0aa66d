"""Stories as they are written: by the client, by `atelier write`, and by whoever reads events."""

import asyncio
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from app.core.text_assembly import ItemTexts
from atelier import AsyncClient, Client, Job, JobCanceled
from atelier.service.packaged_models import PACKAGED
from tests.e2e.conftest import WRITER, Stack, running
from tests.e2e.terminal import CTRL_C, Terminal
from tests.e2e.test_music import worker_of

pytestmark = pytest.mark.stack

COMMON = {
    "the",
    "a",
    "and",
    "of",
    "to",
    "in",
    "was",
    "his",
    "her",
    "he",
    "she",
    "it",
    "that",
    "had",
}
ASK = "write> "
MANY = {"kind": "continuation", "text": "the ant ran", "max_tokens": 300, "temperature": 1.2}


def test_a_text_comes_in_pieces_and_is_whole_in_the_end(studio: Stack) -> None:
    with Client(studio.url) as client:
        job = client.story(seed=3, **MANY)
        pieces = list(job.deltas())
        (output,) = job.outputs
        assert len(pieces) > 5
        assert "".join(pieces) == output.text == output.read().decode()[:-1]
        again = client.story(seed=3, output_format="md", **MANY)
        assert "".join(again.deltas()) == output.text
        late = client.job(job.id)
        assert "".join(late.deltas()) == output.text
        (file,) = again.outputs
        assert file.read().decode().endswith(f"---\n\n{output.text}\n")
        two = client.story(seed=3, n=2, **MANY)
        assert "".join(two.deltas(1)) == two.outputs[1].text != output.text


def test_the_same_awaited(studio: Stack) -> None:
    async def story() -> None:
        async with AsyncClient(studio.url) as client:
            job = await client.story("a hen", kind="poem", style="ode", seed=1, max_tokens=30)
            text = "".join([piece async for piece in job.deltas()])
            assert text == job.outputs[0].text

    asyncio.run(story())


def test_a_text_that_is_canceled_ends_where_it_was(studio: Stack) -> None:
    with Client(studio.url) as client:
        job = client.story(seed=5, n=16, **MANY)  # so many that it is not done before
        pieces = job.deltas()
        assert next(pieces)
        job.cancel()
        with pytest.raises(JobCanceled):
            "".join(pieces)
        assert job.data["drafts"] == job.data["outputs"] == []


def test_events_tell_pieces_in_their_places(studio: Stack) -> None:
    with httpx.Client(base_url=studio.url) as client:
        job = client.post("/generate/story", json={"seed": 2, **MANY}).json()["id"]
        with client.stream("GET", f"/jobs/{job}/events", timeout=60) as answer:
            events = "".join(answer.iter_text())
        text = client.get(f"/jobs/{job}").json()["outputs"][0]["text"]
    pieces = ItemTexts(only=0)  # of the snapshot too: some may have been written before it
    stdin = ""
    for name, data in re.findall(r"event: (\w+)\ndata: (.*)\n", events):
        stdin += "".join(piece for _, piece in pieces.take(name, json.loads(data)))
    assert stdin == text


def written(studio: Stack, *arguments: str | Path, stdin: bytes = b"") -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "atelier", "write", *map(str, arguments)],
        env=os.environ | {"ATELIER_URL": studio.url},
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_write_is_one_text_for_a_script(studio: Stack, tmp_path: Path) -> None:
    options = ("--seed", "4", "--max-tokens", "25")
    status, text, message = written(studio, "--story", "a hen", *options, "--out", tmp_path)
    assert (status, message) == (0, f"{tmp_path / f'{WRITER}-4.txt'}\n")
    kept = (tmp_path / f"{WRITER}-4.txt").read_text()
    assert kept.endswith(f"{text}")
    assert written(studio, "--story", "a hen", *options)[1] == text
    poem = written(studio, "--poem", "rain", "--style", "ode", *options)
    assert poem[0] == 0
    assert poem[1] != text
    one = written(studio, "--continue", "the ant", *options)
    two = written(studio, "--continue", "-", *options, stdin=b"the ant")
    assert one == two
    assert one[0] == 0


def test_write_says_in_a_line_what_is_wrong(studio: Stack) -> None:
    status, out, message = written(studio, "--story", "a", "--poem", "b")
    assert (status, out) == (2, "")
    assert "give one of them" in message
    assert "not UTF-8" in written(studio, "--continue", "-", stdin=b"\xff")[2]
    status, out, message = written(studio, "--story", "a hen", "--max-tokens", "100000")
    assert (status, out) == (1, "")
    assert message.startswith("atelier: max_tokens must be between 1 and 999")
    status, out, message = written(studio, "--continue", "x" * 990)
    assert status == 1
    assert "context has 1000" in message


def test_the_assistant_writes_and_goes_on(studio: Stack, tmp_path: Path) -> None:
    with Terminal("write", "--out", tmp_path, ATELIER_URL=studio.url) as terminal:
        terminal.until(ASK)
        for line in ("/seed 4\n", "/max_tokens 20\n", "/style ode\n"):
            terminal.press(line)
            terminal.until(ASK)
        terminal.press("poem rain\n")
        assert f"{WRITER}-4.txt" in terminal.until(ASK).replace("\n", "")
        terminal.press("continue\n")
        assert f"{WRITER}-4-2.txt" in terminal.until(ASK).replace("\n", "")
        terminal.press("sing\n")
        assert "sing is none of these" in terminal.until(ASK)
        terminal.press("/max_tokens 0\n")
        terminal.until(ASK)
        terminal.press("story a hen\n")
        assert "max_tokens is unset" in terminal.until(ASK)
        terminal.press("quit\n")
        assert terminal.ended()[0] == 0


def test_what_is_too_long_is_gone_on_from_its_end(studio: Stack) -> None:
    stdin = b"/max_tokens 300\n/seed 3\ncontinue " + b"x y z " * 160 + b"\ncontinue\n"
    status, out, message = written(studio, stdin=stdin)
    assert status == 0
    assert message.count("(too long: going on from its last") >= 2
    assert len(out.splitlines()) >= 2


def test_a_closed_pipe_cancels_the_text(studio: Stack) -> None:
    ask = [sys.executable, "-m", "atelier", "write", "--continue", "x", "--max-tokens", "900"]
    with subprocess.Popen(
        ask, env=os.environ | {"ATELIER_URL": studio.url}, stdout=subprocess.PIPE
    ) as writing:
        assert writing.stdout is not None
        assert writing.stdout.read(1)
        writing.stdout.close()
        writing.wait(60)
    with Client(studio.url) as client:
        (job,) = client.jobs(limit=1)
    assert f"/jobs/{job.id}/cancel" in studio.log.read_text()  # the job may have ended by then


@contextmanager
def writing_job(terminal: Terminal, client: Client, studio: Stack) -> Iterator[Job]:
    """A text that can't end, since its worker is stopped; one that has ended before is asked for
    again."""
    worker, earlier = worker_of(studio), {job.id for job in client.jobs()}
    while True:
        terminal.press("continue x\n")
        while not (new := [job for job in client.jobs(limit=1) if job.id not in earlier]):
            continue
        (job,) = new
        earlier.add(job.id)
        while job.refresh().status == "queued":
            continue
        os.kill(worker, signal.SIGSTOP)
        try:
            if job.refresh().status == "in_progress":
                yield job
                return
        finally:
            os.kill(worker, signal.SIGCONT)
        terminal.until(ASK)


def test_ctrl_c_stops_a_text_and_not_the_sitting(studio: Stack) -> None:
    with Terminal("write", "--max-tokens", "900", ATELIER_URL=studio.url) as terminal:
        terminal.until(ASK)
        with Client(studio.url) as client, writing_job(terminal, client, studio) as job:
            terminal.press(CTRL_C)
            assert "canceled" in terminal.until(ASK)
            assert job.refresh().status in ("canceled", "canceling")
        terminal.press("quit\n")
        assert terminal.ended()[0] == 0


@pytest.mark.skipif(
    any(model.path() is None for model in PACKAGED), reason="not all packages are installed"
)
@pytest.mark.timeout(600)
def test_packaged_models_are_imported_while_jobs_for_them_wait(tmp_path: Path) -> None:
    """Real weights: a minute for the first start, on a busy machine several."""
    with (
        running(patience=500, ATELIER_PACKAGED_MODELS="true") as stack,
        Client(stack.url) as client,
    ):
        card = client.model("smollm2-135m")
        assert (card["family"], card["licence"]) == ("language", "Apache-2.0")
        encoder = client.model("all-minilm-l6-v2")
        encoding = client.embedding(["a whale", "a hen"])
        job = client.story("a lighthouse keeper who befriends a whale", seed=7, max_tokens=60)
        text = "".join(job.deltas())
        after = client.model("smollm2-135m")
        assert after["params"] == card["params"]  # known before the checkpoint was there
        assert len(after["sha256"]) == 64
        again = client.story("a lighthouse keeper who befriends a whale", seed=7, max_tokens=60)
        assert again.wait().outputs[0].text == text
        assert job.data["determinism"] == "bitwise"
        (output,) = encoding.wait().outputs
        assert np.load(io.BytesIO(output.read())).shape == (2, 384)
        assert encoding.data["determinism"] == "bitwise"
        assert client.model("all-minilm-l6-v2")["params"] == encoder["params"]
        assert len(set(re.findall(r"[a-z]+", text.lower())) & COMMON) > 2
