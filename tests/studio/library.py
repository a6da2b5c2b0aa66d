"""Results in the Studio without a worker: records by the queue's scripts, with one picture."""

import io
from typing import Any

import httpx
import redis
from PIL import Image

from app.core.settings import Settings
from tests.app.queue.test_job_search import write_jobs
from tests.app.working import Worker
from tests.conftest import MODEL


def store_picture(api: httpx.Client, colour: str = "teal") -> dict[str, Any]:
    """Facts of an output: a small picture that the client owns."""
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), colour).save(buffer, "PNG")
    headers = {"Content-Type": "image/png"}
    answer = api.post("/artifacts", content=buffer.getvalue(), headers=headers)
    facts: dict[str, Any] = answer.raise_for_status().json()
    kept = {name: facts[name] for name in ("sha256", "content_type", "bytes")}
    return {**kept, "role": "picture", "width": 32, "height": 32}


def write_results(
    connection: "redis.Redis", settings: Settings, api: httpx.Client, inputs: list[dict[str, Any]]
) -> list[str]:
    """Completed jobs with these inputs, the oldest first."""
    jobs = write_jobs(connection, settings, inputs, model=MODEL)
    output = store_picture(api)
    worker = Worker(connection)
    worker.claim()
    for job in jobs:
        worker.finish(job, output=output)
    return jobs
