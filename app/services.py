"""What an API process holds open, made once by `create_app` and handed to the routes."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import redis

from app.auth import Keys
from app.catalog.catalog import Catalog
from app.core.imports import Imports
from app.core.settings import Settings
from app.core.tasks import end_task
from app.files.artifact_store import ArtifactStore
from app.metrics import Metrics
from app.queue.connections import refuses_credentials, warn_of_settings
from app.queue.notifications import Notifier
from app.queue.queue import Queue
from app.queue.service_clock import keep_time
from app.sessions import Sessions
from models.modalities import MODALITIES

log = logging.getLogger(__name__)

REFUSES = "refuses the user name or the password of ATELIER_REDIS_URL"


class Services:
    """Nothing here has talked to Redis yet when it is made; it may be away."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.queue = Queue(settings)
        self.notifier = Notifier(self.queue.connection)
        self.store = ArtifactStore(self.queue.blocking, settings)
        self.catalog = Catalog(
            *settings.checkpoint_folders,
            max_items=settings.max_items,
            imports=Imports(settings.state),
            aliases=settings.aliases,
            defaults=[settings.default_model(name) for name in MODALITIES],
        )
        self.keys = Keys(settings.keys_file)
        self.sessions = Sessions(self.queue.connection, self.keys)
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
        longest = self.settings.longest_note
        tasks = (
            asyncio.create_task(self._check_redis(), name="check-redis"),
            asyncio.create_task(keep_time(self.queue.connection, longest), name="keep-time"),
        )
        try:
            yield
        finally:
            for task in tasks:
                await end_task(task)
            await self.notifier.close()
            await self.queue.close()
            self.store.close()

    async def _check_redis(self) -> None:
        """Look at the server's settings as soon as it answers."""
        while True:
            try:
                await warn_of_settings(self.queue.connection)
                return
            except redis.RedisError as error:
                refused = refuses_credentials(error)
                log.warning("redis %s: %s", REFUSES if refused else "is not there yet", error)
                await asyncio.sleep(2)
