"""Requests a second of one API process, against the same routes over a store that does nothing.

The peer is the same process with the same validation and replies; only `Jobs.submit` and
`JobReader.fetch` answer from memory, so the ratio is what durability costs.
"""

import asyncio
import json
import subprocess
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import httpx

from app.core.schemas import Job
from app.core.settings import read_settings
from app.main import Server, create_app
from app.queue.job_reader import JobReader
from app.queue.jobs import Accepted, Idempotency, Jobs, NewJob
from atelier.service.supervisor import free_port
from bench.harness import Rounds, Unfinished, parse_options, report
from bench.noop import register
from bench.sandbox import TIMEOUT, Sandbox, open_sandbox

BODY = json.dumps({"model": "noop", "n": 1, "seed": 5}).encode()


def serve(port: int, in_memory: bool) -> None:
    """Runs an API process, whose jobs are accepted and read from memory if that is asked for."""
    register()
    if in_memory:
        replace_store()
    settings = read_settings().model_copy(update={"port": port})
    Server(create_app(settings), settings).run()


def replace_store() -> None:
    first: dict[str, Job] = {}
    submit = Jobs.submit

    def accept(self: Jobs, new: NewJob, idempotency: Idempotency | None = None) -> Accepted:
        if not first:
            job = submit(self, new, idempotency).job
            first[job.id] = job
        return Accepted(next(iter(first.values())).model_copy(), replayed=False)

    async def fetch(self: JobReader, owner: str, job_id: str) -> Job:
        return first[job_id].model_copy()

    Jobs.submit, JobReader.fetch = accept, fetch  # type: ignore[method-assign]


async def rate(port: int, request: bytes, seconds: float, connections: int = 16) -> float:
    """Answers a second over kept-alive connections, each asking again as soon as it is answered."""
    end = time.perf_counter() + seconds

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

    return sum(await asyncio.gather(*(ask() for _ in range(connections)))) / seconds


def raw_request(method: str, path: str, body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def measure(sandbox: Sandbox, peer: bool, seconds: float) -> dict[str, float]:
    """POST and GET rates of one process, by the method and whether it is the peer."""
    port = free_port("127.0.0.1")
    kind = "noop" if peer else "atelier"
    program = f"import bench.api; bench.api.serve({port}, in_memory={peer})"
    with sandbox.running("-c", program) as server:
        job = submit_first_job(f"http://127.0.0.1:{port}", server)
        post = raw_request("POST", "/generate/image", BODY)
        get = raw_request("GET", f"/jobs/{job}")
        return {
            f"POST {kind}": asyncio.run(rate(port, post, seconds)),
            f"GET {kind}": asyncio.run(rate(port, get, seconds)),
        }


def submit_first_job(url: str, server: "subprocess.Popen[Any]") -> str:
    """Waits for the server, and posts one job. Raises Unfinished if no job is accepted."""
    end = time.monotonic() + TIMEOUT
    while server.poll() is None and time.monotonic() < end:
        with suppress(httpx.TransportError, KeyError):
            reply = httpx.post(
                f"{url}/generate/image", content=BODY, headers={"Content-Type": "application/json"}
            )
            return str(reply.json()["id"])
        time.sleep(0.1)
    raise Unfinished(f"the server accepts no job; its exit status is {server.returncode}")


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_options(ArgumentParser(description=__doc__), argv, rounds=3)
    seconds = 0.05 if options.smoke else 4.0
    with open_sandbox() as sandbox:
        measured = Rounds(
            [
                measure(sandbox, False, seconds) | measure(sandbox, True, seconds)
                for _ in range(max(1, options.rounds))
            ]
        )
    for method, target in (("POST", "0.35 or more"), ("GET", "0.7 or more")):
        report(
            f"{method} a second of one API process, against a store that does nothing",
            measured.ratio(f"{method} atelier", f"{method} noop"),
            target,
            atelier=measured.median(f"{method} atelier"),
            noop=measured.median(f"{method} noop"),
        )


if __name__ == "__main__":
    main()
