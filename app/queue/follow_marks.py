"""The mark that someone follows a job: workers render previews, and sound on its way, by it.

The mark stands in the job's record and runs out by itself, so a reader that leaves has nothing to
take back.
"""

import logging
import math
import time

import redis

from app.core.schemas import TERMINAL, Job
from app.queue.job_reader import JobReader

log = logging.getLogger(__name__)

LASTS = 15.0  # seconds that a mark holds
RENEWED = 5.0  # seconds after which a reader sets it again


class FollowMark:
    """One reader's mark of one job, set again as long as it reads."""

    def __init__(self, reader: JobReader) -> None:
        self._reader, self._set = reader, -math.inf

    async def renew(self, job: Job) -> None:
        """Set the mark where it is due. It may fail: the next one comes soon."""
        now = time.monotonic()
        if job.status in TERMINAL or now - self._set < RENEWED:
            return
        self._set = now
        try:
            await self._reader.follow(job.id, LASTS)
        except redis.RedisError as error:
            log.warning("a job can't be marked as followed now: %s", error)
