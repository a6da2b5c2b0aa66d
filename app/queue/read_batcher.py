"""Scripts that only read, asked for by many requests at once and sent together.

While one batch is on its way the next one gathers, so that a busy process pays for one round trip
where it would pay for many, and an idle one waits for nobody.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import redis.asyncio
from redis.exceptions import NoScriptError, RedisError

from app.core.scripts import FOLDER, source


@dataclass(eq=False)
class PendingRead:
    """One reader's question, and where its answer goes."""

    script: str
    args: tuple[Any, ...]
    answer: "asyncio.Future[Any]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def tell(self, reply: Any) -> None:
        if self.answer.done():
            return  # who asked has left
        if isinstance(reply, Exception):
            self.answer.set_exception(reply)
        else:
            self.answer.set_result(reply)


class Reads:
    """The reading scripts over an asyncio connection."""

    def __init__(self, connection: "redis.asyncio.Redis", *names: str) -> None:
        self._redis = connection
        self._scripts = {n: connection.register_script(source(n, FOLDER)) for n in names}
        self._asked: list[PendingRead] = []
        self._sending: asyncio.Task[None] | None = None

    async def run(self, name: str, *args: Any) -> Any:
        """What the script says. Raises RedisError."""
        asked = PendingRead(name, args)
        self._asked.append(asked)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send(), name="reads")
        return await asked.answer

    async def _send(self) -> None:
        while self._asked:
            batch, self._asked = self._asked, []
            try:
                replies = await self._replies(batch)
                if any(isinstance(r, NoScriptError) for r in replies):
                    await self._load()
                    replies = await self._replies(batch)
            except (RedisError, OSError) as error:
                replies = [error] * len(batch)
            for asked, reply in zip(batch, replies, strict=True):
                asked.tell(reply)

    async def _replies(self, batch: list[PendingRead]) -> list[Any]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for asked in batch:
                pipe.evalsha(self._scripts[asked.script].sha, 0, *asked.args)
            return list(await pipe.execute(raise_on_error=False))

    async def _load(self) -> None:
        """A server that was started anew knows no scripts."""
        for script in self._scripts.values():
            await self._redis.script_load(script.script)
