"""The two connections to Redis: a blocking one that changes jobs, an asyncio one that reads.

A command that was sent and not answered may have been carried out, so the blocking client never
sends one twice. Reads are tried again where a connection broke. Neither tries again after a
timeout: a server that hangs would cost a request the timeout of every try.
"""

import logging
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.retry import Retry

from app.core.settings import Settings, credentials_refused

log = logging.getLogger(__name__)

REPLIES: dict[str, Any] = {"decode_responses": True, "encoding_errors": "replace"}
TIMES: dict[str, Any] = {"socket_timeout": 5, "socket_connect_timeout": 2}
MAX_READERS = 64  # connections; more readers wait for one
WANTED = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}


def connect(settings: Settings) -> "redis.Redis":
    return redis.Redis.from_url(
        settings.redis_address, **REPLIES, **TIMES, retry=Retry(NoBackoff(), 0)
    )


def connect_async(settings: Settings) -> "redis.asyncio.Redis":
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        settings.redis_address,
        max_connections=MAX_READERS,
        **REPLIES,
        **TIMES,
        timeout=TIMES["socket_timeout"],
        retry=AsyncRetry(ExponentialBackoff(cap=0.2, base=0.02), 2, (redis.ConnectionError,)),
    )
    return redis.asyncio.Redis.from_pool(pool)


def check_credentials(settings: Settings) -> None:
    """Raises Misconfigured where Redis answers and refuses the credentials of its URL.

    A server that is away is no fault of the settings: it may come.
    """
    with connect(settings) as client:
        try:
            client.ping()
        except redis.AuthenticationError:
            raise credentials_refused(settings) from None
        except redis.RedisError as error:
            log.info("redis does not answer yet: %s", type(error).__name__)


def refuses_credentials(error: redis.RedisError) -> bool:
    """Whether Redis is there and lets nobody in; the asyncio client hides that in the cause."""
    return any(isinstance(x, redis.AuthenticationError) for x in (error, error.__cause__))


async def warn_of_settings(connection: "redis.asyncio.Redis") -> None:
    """Say loudly where the server would forget jobs that were accepted."""
    try:
        values = await connection.config_get(*WANTED)
    except redis.ResponseError:
        log.warning("this Redis does not tell its settings; it needs %s", WANTED)
        return
    for name, wanted in WANTED.items():
        if values.get(name) != wanted:
            log.warning(
                "ACCEPTED JOBS MAY BE LOST: Redis has %s %s, it needs %s",
                name,
                values.get(name),
                wanted,
            )
