"""A worker with no model: it moves jobs by the workers' own scripts."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

import workers
from app.core.scripts import Scripts
from app.core.version import VERSION

LUA = Path(workers.__file__).parent / "lua"
STAMP = "2026-01-01T00:00:00.000000Z"


@dataclass
class Worker:
    connection: "redis.Redis"
    name: str = "w1"
    running: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._own = Scripts(self.connection, folder=LUA)
        self._shared = Scripts(self.connection)
        self._looks = self._updates = 0

    def lease(self, **models: dict[str, Any]) -> None:
        """Say that it lives, and what it holds: state and determinism by sha256."""
        facts = {"pid": 1, "host": "here", "capacity": 32, "in_flight": 3, "models": models}
        self._own.run("renew", self.name, json.dumps(facts), 60, 60, 0)

    def claim(self, room: int = 10_000) -> list[str]:
        """Start every job that waits, or as many as there is room for."""
        queues = [str(q).removeprefix("rq:queue:") for q in self.connection.smembers("rq:queues")]
        self._looks += 1
        args: list[Any] = [self.name, f"{self.name}-{self._looks}", room, 2, STAMP, "{}"]
        args += [len(self.running)]
        args += [item for pair in self.running.items() for item in pair]
        args += [item for q in queues for item in (q, "ready", 10_000)]
        _, claims, *_ = self._own.run("tick", *args)
        self.running |= {job: execution for job, execution, _ in claims}
        return [job for job, _, _ in claims]

    def followed(self) -> set[str]:
        """Which of its jobs someone follows."""
        args: list[Any] = [self.name, "none", 0, 2, STAMP, "{}", len(self.running)]
        args += [item for pair in self.running.items() for item in pair]
        verdicts, *_ = self._own.run("tick", *args)
        return {job for job, word in verdicts if word == "followed"}

    def progress(self, job: str, done: int, steps: int, **events: dict[str, Any]) -> None:
        facts = {"job_id": job, "status": "in_progress", "step": done, "steps": steps}
        named = {"progress": {**facts, "value": done / steps}, **events}
        flat = [item for name, data in named.items() for item in (name, json.dumps(data))]
        self._updates += 1
        self._own.run("progress", job, self.running[job], self._updates, done, steps, *flat)

    def sound(self, job: str, number: int, sha256: str, size: int, last: bool = False) -> None:
        """Tell of a chunk of item 0, of so many bytes, at 8000 samples a second."""
        position = [0, number, int(last)]
        self._own.run("sound", job, self.running[job], *position, sha256, size, 8000, 1)

    def finish(
        self, job: str, outcome: str = "finished", *, output: dict[str, Any] | None = None
    ) -> str:
        """End the job, with one output of these facts, if any."""
        error = {"message": "no memory", "type": "server_error", "code": "out_of_memory"}
        problem = json.dumps(error) if outcome == "failed" else ""
        outputs = [{"index": 0, "seed": 1, **output}] if output else []
        args: list[Any] = [job, self.running.pop(job), outcome, json.dumps(outputs), problem]
        args += [12, "bitwise", "1/1", STAMP, VERSION]
        for file in outputs:
            args += [file["sha256"], file["content_type"], file["bytes"]]
        return str(self._own.run("finish", *args))

    def lead(self, seconds: float) -> bool:
        return bool(self._own.run("lead", seconds))

    def sweep(self) -> list[str]:
        return list(self._own.run("sweep", 100, 3600, 604800))
