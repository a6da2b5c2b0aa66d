"""The whole service keeps its promises: equal bytes, nothing lost, on a folder and on S3."""

import hashlib
import json
import os
import signal
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest
import redis
from PIL import Image
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from app.core.settings import Settings
from atelier import Client
from bench import output_hashes
from bench.chaos import SMOKE, run, verdict
from tests.e2e.conftest import Stack, running
from tests.models.families import tiny_checkpoint

pytestmark = pytest.mark.stack

MODELS = ("vae-fashion", "dcgan-emoji")


@pytest.mark.parametrize("model", MODELS)
def test_a_returned_seed_posted_alone_repeats_its_file(stack: Stack, model: str) -> None:
    with Client(stack.url) as client:
        many = [client.image(model=model, n=3, seed=seed) for seed in range(6)]
        for job in many:
            job.wait()
        for job in many:
            for output in job.outputs:
                alone = client.image(model=model, seed=output.seed)
                alone.wait()
                assert alone.outputs[0].sha256 == output.sha256
        data = many[0].outputs[0].read()
        assert hashlib.sha256(data).hexdigest() == many[0].outputs[0].sha256


def test_bytes_are_equal_after_a_restart_of_everything(stack: Stack) -> None:
    with Client(stack.url) as client:
        job = client.image(model=MODELS[0], n=4, seed=99)
        job.wait()
        expected = [output.sha256 for output in job.outputs]
    with running() as other, Client(other.url) as client:
        job = client.image(model=MODELS[0], n=4, seed=99)
        job.wait()
        assert [output.sha256 for output in job.outputs] == expected


def test_what_a_file_says_of_itself_makes_it_again(stack: Stack, tmp_path: Path) -> None:
    with Client(stack.url) as client:
        original = client.image(model=MODELS[1], seed=5).wait().outputs[0]
        walk = {"to_seed": 1, "frames": 9}
        jobs = [
            client.image(model=MODELS[0], seed=99, init_image=original.sha256, strength=0.4),
            client.image(model=MODELS[0], seed=99, interpolate=walk, n=2),
            client.image(model=MODELS[1], seed=99, interpolate=walk),
            client.image(model=MODELS[1], seed=99, n=5, grid=True),
        ]
        for output in [output for job in jobs for output in job.wait().outputs]:
            with Image.open(output.save(tmp_path / "made")) as picture:
                said = picture.info.get("atelier") or picture.getexif()[0x010E]
            facts = json.loads(said)
            del facts["checkpoint"]
            again = client.submit("image", {**facts.pop("params"), **facts}).wait()
            assert output.sha256 in [o.sha256 for o in again.outputs]


@pytest.mark.timeout(400)
def test_jobs_survive_kills_of_everything() -> None:
    calm, wild = run(SMOKE, deadly=False), run(SMOKE, deadly=True)
    assert verdict(SMOKE, calm, wild) == []


def test_the_same_requests_give_the_same_hashes(stack: Stack, tmp_path: Path) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    assert output_hashes.main([stack.url, str(first), "--smoke"]) == 0
    assert output_hashes.main([stack.url, str(second), "--smoke", "--compare", str(first)]) == 0
    (outcome,) = json.loads(first.read_text())["outputs"].values()
    assert outcome["status"] == "completed"
    assert outcome["files"]


def connected(state: Path) -> "redis.Redis":
    """A client of the embedded server, which may still be starting."""
    patient = Retry(ConstantBackoff(0.1), 300)
    return redis.Redis.from_url(Settings(state=state).redis_address, retry=patient)


def test_accepted_jobs_outlive_a_kill_9_of_the_whole_service(tmp_path: Path) -> None:
    first = Stack(tmp_path)
    with httpx.Client(base_url=first.url, transport=httpx.HTTPTransport(retries=50)) as client:
        while client.get("/livez").status_code != 200:
            pass
        with connected(tmp_path) as queue:
            queue.set("rq:suspended", 1)  # nobody works: jobs wait
        body = {"model": MODELS[0], "n": 2}
        ids = [client.post("/generate/image", json=body).json()["id"] for _ in range(5)]
    os.kill(first.process.pid, signal.SIGKILL)
    first.stop()
    second = Stack(tmp_path)
    try:
        with connected(tmp_path) as queue:
            queue.delete("rq:suspended")
        second.wait_until_ready()
        with Client(second.url) as client:
            jobs = [client.job(i) for i in ids]
            for job in jobs:
                job.wait()
            assert Counter(job.status for job in jobs) == {"completed": 5}
    finally:
        second.stop()


def test_results_lie_in_s3_when_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    httpx.put(f"{endpoint}/pictures").raise_for_status()
    environment = {
        "ATELIER_STORE": "s3://pictures/made/here",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "us-east-1",
    }
    try:
        with running(**environment) as stack, Client(stack.url) as client:
            job = client.image(model=MODELS[0], n=3, seed=4)
            job.wait()
            for output in job.outputs:
                assert hashlib.sha256(output.read()).hexdigest() == output.sha256
        listed = httpx.get(f"{endpoint}/pictures?list-type=2").text
        assert listed.count("<Key>made/here/") == 3
    finally:
        server.stop()


def test_a_checkpoint_dropped_in_is_served_without_a_restart(tmp_path: Path) -> None:
    checkpoints = tmp_path / "checkpoints"
    tiny_checkpoint(checkpoints, "vae")
    with running(ATELIER_CHECKPOINTS=str(checkpoints)) as stack, Client(stack.url) as client:
        assert [card["id"] for card in client.models()] == ["tiny-vae"]
        (tmp_path / "new").mkdir()
        path = tiny_checkpoint(tmp_path / "new", "gan")
        path.rename(checkpoints / path.name)
        end = time.monotonic() + 30
        while len(client.models()) < 2:
            assert time.monotonic() < end, "the new model is not listed"
            time.sleep(0.1)
        job = client.image(model="tiny-gan", n=2, seed=1)
        job.wait()
        assert len(job.outputs) == 2


def test_a_state_folder_of_any_name_serves(tmp_path: Path) -> None:
    name = b"a b=c#d?e%20f\n\xff'\"\\$(x)"
    state = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    tiny_checkpoint(state / "checkpoints", "vae")
    stack = Stack(state)
    try:
        stack.wait_until_ready()
        with Client(stack.url) as client:
            job = client.image(model="tiny-vae", seed=1)
            assert job.wait().status == "completed"
            assert job.outputs[0].read()
    finally:
        assert stack.stop() == 0
    assert list(tmp_path.iterdir()) == [state]


def test_redis_down_at_start_is_waited_for_and_told(tmp_path: Path) -> None:
    away = Stack(tmp_path, ATELIER_REDIS_URL=f"unix://{tmp_path}/nobody.sock")
    try:
        with httpx.Client(base_url=away.url, transport=httpx.HTTPTransport(retries=50)) as client:
            answer = client.post("/generate/image", json={"model": MODELS[0]})
            assert answer.status_code == 503
            assert answer.json()["error"]["code"] == "queue_unavailable"
            assert int(answer.headers["Retry-After"]) >= 1
            assert client.get("/readyz").status_code == 503
    finally:
        away.stop()
