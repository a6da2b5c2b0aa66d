"""The API's part in the service's clock: it notes the time while no worker does.

`app/core/lua/shared/clock.lua` says what the clock is, and why it is not the server's.
"""

import asyncio
import logging
from typing import NoReturn

import redis.asyncio
from redis.exceptions import RedisError

from app.core.scripts import source

log = logging.getLogger(__name__)

NOTE_SECONDS = 1.0


async def keep_time(connection: "redis.asyncio.Redis", longest: float) -> NoReturn:
    """Note the time every second, through any absence of Redis."""
    script = connection.register_script(source("clock"))
    arrived = True
    while True:
        try:
            await script(args=[longest, int(arrived)])
            arrived = False
        except (RedisError, OSError) as error:
            log.debug("the time could not be noted: %s", error)
        await asyncio.sleep(NOTE_SECONDS)
