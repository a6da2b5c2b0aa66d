"""The queue, as routes use it: it reads over an asyncio connection and changes in threads."""

from typing import Any

import redis

from app.core.schemas import Job
from app.core.scripts import Scripts
from app.core.settings import Settings
from app.core.thread_pool import ThreadPool
from app.queue.connections import connect, connect_async
from app.queue.event_log import EventLog
from app.queue.job_reader import JobReader
from app.queue.jobs import Accepted, Idempotency, Jobs, NewJob
from app.queue.unresolved import Unresolved
from app.queue.worker_leases import Lease, read_leases

THREADS = 32  # calls that change the queue at once
TIMEOUT = 10.0  # seconds to wait for a thread; each round trip has a time-out of its own


def _is_late() -> Exception:
    return redis.TimeoutError("too many calls wait for the server")


class Queue(JobReader):
    """Jobs, their events and the workers' leases. Nothing here talks to Redis before it is used."""

    def __init__(self, settings: Settings) -> None:
        self.connection = connect_async(settings)
        super().__init__(self.connection)
        self.blocking = connect(settings)
        self._threads = ThreadPool("queue", THREADS, TIMEOUT, _is_late, abandon=False)
        self.jobs = Jobs(self.blocking, settings)
        self.scripts = Scripts(self.blocking)
        self.events = EventLog(self.connection)
        self.unresolved = Unresolved()

    async def submit(self, new: NewJob, idempotency: Idempotency | None = None) -> Accepted:
        """As `Jobs.submit`."""
        return await self._threads.run(self.jobs.submit, new, idempotency)

    async def cancel(self, owner: str, job_id: str) -> Job:
        """As `Jobs.cancel`."""
        return await self._threads.run(self.jobs.cancel, owner, job_id)

    async def delete(self, owner: str, job_id: str) -> None:
        """As `Jobs.delete`."""
        await self._threads.run(self.jobs.delete, owner, job_id)

    async def run_script(self, script: str, *args: Any) -> Any:
        """Returns what a Lua script answers."""
        return await self._threads.run(self.scripts.run, script, *args)

    async def leases(self) -> list[Lease]:
        """Returns the leases of the workers that are alive."""
        return await read_leases(self.connection)

    async def close(self) -> None:
        await self.connection.aclose()
        self.blocking.close()
        self._threads.close()
