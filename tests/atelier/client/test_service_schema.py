"""A small real service that keeps to API.md, for the client's tests; and that it does."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from time import sleep
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from app.core.schemas import Job, JobList
from atelier import Client

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
SHA = hashlib.sha256(PNG).hexdigest()


class Dropped(Exception):
    """Ends a response in its middle; uvicorn closes the connection."""


def refusal(status: int, code: str, headers: dict[str, str] | None = None) -> Response:
    error = {"message": f"refused: {code}", "type": "x", "param": "steps", "code": code}
    return JSONResponse({"error": error}, status, {"x-request-id": "req_1", **(headers or {})})


async def broken_body(whole: bytes) -> AsyncIterator[bytes]:
    yield whole[:5]
    raise Dropped


def broken(response: Response) -> Response:
    """That response, cut off after five bytes."""
    headers = {"content-length": str(len(response.body))}
    return StreamingResponse(
        broken_body(bytes(response.body)), response.status_code, headers, "application/json"
    )


@dataclass
class Service:
    """One user's service: jobs, an event log that all jobs share, and what goes wrong next."""

    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    by_key: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=lambda: {SHA: PNG})
    refusals: list[Response] = field(default_factory=list)  # answered before anything is done
    breaks: int = 0  # answers to be cut off after all was done
    asked: list[Request] = field(default_factory=list)
    log: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # ids are 1-0, 2-0, ...
    drops: list[int] = field(default_factory=list)  # bytes after which a connection is cut
    page: int = 100  # jobs listed at once, at most
    hangs: bool = False  # events that never end, but are kept alive

    def make(self, body: dict[str, Any]) -> dict[str, Any]:
        number = len(self.jobs)
        job = {
            "id": f"job_{number:026d}",
            "object": "job",
            "type": "image",
            "model": body.get("model", "vae-fashion"),
            "status": "queued",
            "input": body,
            "progress": {"value": 0.0, "step": 0, "steps": 0},
            "seed": body.get("seed", 77),
            "outputs": [],
            "error": None,
            "metadata": body.get("metadata", {}),
            "attempt": 0,
            "created_at": 1790000000 + number,
            "urls": {"self": "/jobs/x", "events": "/jobs/x/events", "cancel": "/jobs/x/cancel"},
        }
        self.jobs[str(job["id"])] = job
        return job

    def work(self, job_id: str, steps: int = 3, status: str = "completed") -> None:
        """What a worker would do, all at once."""
        going = {"job_id": job_id, "status": "in_progress"}
        self.log.append(("status", dict(self.jobs[job_id])))
        for step in range(1, steps + 1):
            progress = going | {"step": step, "steps": steps, "value": step / steps}
            self.log.append(("progress", progress))
        self.log.append((status, self.ended(job_id, status)))

    def ended(self, job_id: str, status: str = "completed") -> dict[str, Any]:
        job = self.jobs[job_id]
        job["status"] = status
        if status == "completed":
            output = {
                "index": 0,
                "role": "picture",
                "url": f"/artifacts/{SHA}",
                "sha256": SHA,
                "seed": job["seed"],
            }
            job["outputs"] = [output | {"content_type": "image/png", "bytes": len(PNG)}]
        if status == "failed":
            job["error"] = {"code": "out_of_memory", "message": "too big", "type": "server_error"}
        return job


class App:
    """The routes, over whichever service the test at hand has."""

    def __init__(self) -> None:
        self.service = Service()
        self.asgi = Starlette(
            routes=[
                self.route("POST", "/generate/{modality}", self.generate),
                self.route("GET", "/jobs", self.list),
                self.route("GET", "/jobs/{id}", self.job),
                self.route("DELETE", "/jobs/{id}", self.delete),
                self.route("POST", "/jobs/{id}/cancel", self.cancel),
                self.route("GET", "/jobs/{id}/events", self.events),
                self.route("POST", "/artifacts", self.upload),
                self.route("GET", "/artifacts/{sha}", self.artifact),
                self.route("GET", "/models", self.models),
                self.route("GET", "/models/{id:path}", self.model),
            ]
        )

    def route(self, method: str, path: str, answer: Any) -> Route:
        async def serve(request: Request) -> Response:
            self.service.asked.append(request)
            if self.service.refusals:
                return self.service.refusals.pop(0)
            response: Response = await answer(request)
            if self.service.breaks:
                self.service.breaks -= 1
                return broken(response)
            return response

        return Route(path, serve, methods=[method])

    async def generate(self, request: Request) -> Response:
        key, body = request.headers["idempotency-key"], await request.json()
        if key not in self.service.by_key:
            self.service.by_key[key] = self.service.make(body)["id"]
        return JSONResponse(self.service.jobs[self.service.by_key[key]], 202)

    async def list(self, request: Request) -> Response:
        wanted = request.query_params
        jobs = [
            job
            for job in reversed(self.service.jobs.values())
            if wanted.get("status", job["status"]) == job["status"]
            and job["id"] < wanted.get("after", "z")
            and wanted.get("model", job["model"]) == job["model"]
            and wanted.get("q", "") in json.dumps(job["input"])
            and int(wanted.get("created_after", 0)) <= job["created_at"]
            and job["created_at"] < int(wanted.get("created_before", 2**40))
        ]
        page = jobs[: min(int(wanted["limit"]), self.service.page)]
        first, last = (page[0]["id"], page[-1]["id"]) if page else (None, None)
        ends = {"first_id": first, "last_id": last, "has_more": len(jobs) > len(page)}
        return JSONResponse({"object": "list", "data": page, **ends})

    def find(self, request: Request) -> dict[str, Any] | None:
        return self.service.jobs.get(request.path_params["id"])

    async def job(self, request: Request) -> Response:
        job = self.find(request)
        return JSONResponse(job) if job else refusal(404, "job_not_found")

    async def delete(self, request: Request) -> Response:
        job = self.service.jobs.pop(request.path_params["id"], None)
        if job is None:
            return refusal(404, "job_not_found")
        return JSONResponse({"id": job["id"], "object": "job.deleted", "deleted": True})

    async def cancel(self, request: Request) -> Response:
        return JSONResponse(self.service.ended(request.path_params["id"], "canceled"))

    async def events(self, request: Request) -> Response:
        if not self.find(request):
            return refusal(404, "job_not_found")
        last = request.headers.get("last-event-id")
        seen = int(last.partition("-")[0]) if last else 0
        if seen and seen == len(self.service.log):
            return Response(status_code=204)
        return StreamingResponse(self.sent(seen), media_type="text/event-stream")

    async def sent(self, seen: int) -> AsyncIterator[bytes]:
        text = b""
        for number, (name, data) in enumerate(self.service.log[seen:], seen + 1):
            text += f"id: {number}-0\nevent: {name}\ndata: {json.dumps(data)}\n\n".encode()
        if self.service.drops:
            yield text[: self.service.drops.pop(0)]
            raise Dropped
        yield text
        while self.service.hangs:
            await asyncio.sleep(0.02)
            yield b": keepalive\n\n"

    async def upload(self, request: Request) -> Response:
        data = await request.body()
        sha = hashlib.sha256(data).hexdigest()
        self.service.files[sha] = data
        kind = request.headers["content-type"]
        return JSONResponse({"sha256": sha, "content_type": kind, "bytes": len(data)}, 201)

    async def artifact(self, request: Request) -> Response:
        data = self.service.files.get(request.path_params["sha"])
        return Response(data) if data else refusal(410, "artifact_expired")

    async def models(self, request: Request) -> Response:
        cards = [{"id": "vae-fashion", "modality": "image"}, {"id": "a/b", "modality": "toy"}]
        return JSONResponse({"object": "list", "data": cards})

    async def model(self, request: Request) -> Response:
        return JSONResponse({"id": request.path_params["id"]})


@contextmanager
def serving() -> Iterator[tuple[str, App]]:
    """Its URL and the service, which runs in a thread."""
    app = App()
    config = uvicorn.Config(app.asgi, port=0, lifespan="off", log_level="critical")
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, name="service")
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("the service did not start")
            sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}", app
    finally:
        server.should_exit = True
        thread.join(15)


def test_it_keeps_to_the_schemas() -> None:
    with serving() as (url, app), Client(url) as client:
        job = client.image(model="vae-fashion", n=2, seed=1)
        Job.model_validate(job.data)
        Job.model_validate(app.service.ended(job.id, "failed"))
        Job.model_validate(app.service.ended(job.id))
        JobList.model_validate(client.call("GET", "/jobs", query={"limit": 3}).json())
