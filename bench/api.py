"""Requests a second of one API process, against the same routes over a store that does nothing.

The peer is the same process with the same validation and replies; only `Jobs.submit` and
`JobReader.fetch` answer from memory, so the ratio is what durability costs.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import time
from typing import Any

import httpx

from app.core.schemas import Job
from app.core.settings import read_settings
from app.main import Server, create_app
from app.queue.jobs import Accepted, Idempotency, JobReader, Jobs, NewJob
from atelier.service.supervisor import free_port
from bench.bed import Bed, bed, report
from bench.noop import register

CONNECTIONS, SECONDS, ROUNDS = 16, 4.0, 3
BODY = json.dumps({"model": "noop", "n": 1, "seed": 5}).encode()


def serve(port: int, noop: bool) -> None:
    """An API process; with `noop`, one whose jobs are accepted and read from memory."""
    register()
    if noop:
        replace_store()
    settings = read_settings().model_copy(update={"port": port})
    Server(create_app(settings), settings).run()


def replace_store() -> None:
    kept: dict[str, Job] = {}
    submit = Jobs.submit

    def remembered(self: Jobs, new: NewJob, idempotency: Idempotency | None = None) -> Accepted:
        if not kept:
            job = submit(self, new, idempotency).job
            kept[job.id] = job
        return Accepted(next(iter(kept.values())).model_copy(), replayed=False)

    async def fetch(self: JobReader, owner: str, job_id: str) -> Job:
        return kept[job_id].model_copy()

    Jobs.submit, JobReader.fetch = remembered, fetch  # type: ignore[method-assign]


async def rate(port: int, request: bytes) -> float:
    """Answers a second over kept-alive connections, each asking again as soon as it is answered."""
    end = time.perf_counter() + SECONDS

    async def ask() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        count = 0
        while time.perf_counter() < end:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 20"):
                raise RuntimeError(head.decode())
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            count += 1
        writer.close()
        return count

    counts = await asyncio.gather(*(ask() for _ in range(CONNECTIONS)))
    return sum(counts) / SECONDS


def message(method: str, path: str, body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def measure(on: Bed, noop: bool) -> dict[str, float]:
    """POST and GET rates of one process, measured in a process of their own."""
    port = free_port("127.0.0.1")
    server = subprocess.Popen(
        [sys.executable, "-m", "bench.api", str(port), "noop" if noop else "real"],
        env=on.environment,
        stderr=subprocess.DEVNULL,
    )
    try:
        job = first_job(f"http://127.0.0.1:{port}")
        return {
            "POST": asyncio.run(rate(port, message("POST", "/generate/image", BODY))),
            "GET": asyncio.run(rate(port, message("GET", f"/jobs/{job}"))),
        }
    finally:
        server.terminate()
        server.wait()


def first_job(url: str) -> str:
    """Wait for the server, and post one job."""
    for _ in range(200):
        try:
            answer: dict[str, Any] = httpx.post(
                f"{url}/generate/image", content=BODY, headers={"Content-Type": "application/json"}
            ).json()
            return str(answer["id"])
        except (httpx.TransportError, KeyError):
            time.sleep(0.1)
    raise RuntimeError("the server does not answer")


def main() -> None:
    with bed() as on:
        rounds = [(measure(on, noop=False), measure(on, noop=True)) for _ in range(ROUNDS)]
    for method, reach in (("POST", "0.35 or more"), ("GET", "0.7 or more")):
        report(
            f"{method} a second of one API process, against a store that does nothing",
            statistics.median(mine[method] / peer[method] for mine, peer in rounds),
            reach,
            atelier=statistics.median(mine[method] for mine, _ in rounds),
            noop=statistics.median(peer[method] for _, peer in rounds),
        )


if __name__ == "__main__":
    if len(sys.argv) == 3:
        serve(int(sys.argv[1]), sys.argv[2] == "noop")
    else:
        main()
