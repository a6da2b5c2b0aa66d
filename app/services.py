"""What an API process holds open, made once by `create_app` and handed to the routes."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import redis

from app.auth import Keys
from app.catalog.catalog import Catalog
from app.core.imports import Imports
from app.core.scripts import Scripts
from app.core.settings import Settings
from app.core.store import NO_ANSWER, Unreachable, open_store
from app.core.tasks import end_task
from app.core.thread_pool import ThreadPool
from app.files.uploads import Uploads, UploadSpace
from app.metrics import Metrics
from app.operations.unresolved import Unresolved
from app.queue.connections import connect, connect_async, refuses_credentials, warn_of_settings
from app.queue.event_log import EventLog
from app.queue.jobs import JobReader, Jobs
from app.queue.notifications import Notifier
from app.queue.service_clock import keep_time

log = logging.getLogger(__name__)

REFUSES = "refuses the user name or the password of ATELIER_REDIS_URL"
THREADS = 32  # of calls to the store at once, and of those that change the queue
QUEUE_TIMEOUT = 10.0  # seconds to wait for a thread; each round trip has a time-out of its own


def _store_is_late() -> Exception:
    return Unreachable(NO_ANSWER)


def _queue_is_late() -> Exception:
    return redis.TimeoutError("too many calls wait for the server")


INPUT_CHECKS = {"image": 2, "audio/midi": 1}
"""Posted files that are checked at once, by their kind. A check takes a thread, up to half a second
of the processor and up to 50 MB; those of one kind never wait for those of another."""


class Services:
    """Nothing here has talked to Redis yet when it is made; it may be away."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.redis = connect(settings)
        self.reader_redis = connect_async(settings)
        self.scripts = Scripts(self.redis)
        self.jobs = Jobs(self.redis, settings)
        self.unresolved = Unresolved()
        self.reader = JobReader(self.reader_redis)
        self.events = EventLog(self.reader_redis)
        self.wake = Notifier(self.reader_redis)
        self.catalog = Catalog(
            *settings.checkpoint_folders,
            max_items=settings.max_items,
            imports=Imports(settings.state),
        )
        self.store = open_store(settings)
        self.store_threads = ThreadPool("store", THREADS, settings.store_timeout, _store_is_late)
        self.queue_threads = ThreadPool(
            "queue", THREADS, QUEUE_TIMEOUT, _queue_is_late, abandon=False
        )
        self.upload_space = UploadSpace(settings.max_uploads)
        self.uploads = Uploads(self.redis, self.store, settings)
        self.input_checks = {kind: asyncio.Semaphore(most) for kind, most in INPUT_CHECKS.items()}
        self.keys = Keys(settings.keys_file)
        self.metrics = Metrics()
        self._unready: str | None = None  # why it can do no work, as last seen; empty if it can

    def note_readiness(self, reason: str) -> None:
        """Log when the service becomes able to work or unable, however often that is asked."""
        if reason != self._unready:
            self._unready = reason
            log.info("not ready" if reason else "ready", extra={"reason": reason})

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Know the models before the first request; leave no connection behind."""
        await self.catalog.refresh()
        tasks = (
            asyncio.create_task(self._check_redis(), name="check-redis"),
            asyncio.create_task(
                keep_time(self.reader_redis, self.settings.longest_note), name="keep-time"
            ),
        )
        try:
            yield
        finally:
            for task in tasks:
                await end_task(task)
            await self.wake.close()
            await self.reader_redis.aclose()
            self.redis.close()
            self.store_threads.close()
            self.queue_threads.close()

    async def _check_redis(self) -> None:
        """Look at the server's settings as soon as it answers."""
        while True:
            try:
                await warn_of_settings(self.reader_redis)
                return
            except redis.RedisError as error:
                refused = refuses_credentials(error)
                log.warning("redis %s: %s", REFUSES if refused else "is not there yet", error)
                await asyncio.sleep(2)
