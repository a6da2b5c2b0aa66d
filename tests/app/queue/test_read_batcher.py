"""Reads that are asked for together are sent together, and none harms another."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
import redis
import redis.asyncio

from app.core.settings import Settings
from app.queue.connections import connect_async
from app.queue.read_batcher import PendingRead, Reads


def with_reads(settings: Settings, story: Any) -> None:
    async def run() -> None:
        async with connect_async(settings) as connection:
            reading: Coroutine[Any, Any, None] = story(Reads(connection, "view"))
            await reading

    asyncio.run(run())


def test_many_asked_at_once_are_one_batch(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []
    real = Reads._replies

    async def counted(self: Reads, batch: list[PendingRead]) -> list[Any]:
        batches.append(len(batch))
        return await real(self, batch)

    monkeypatch.setattr(Reads, "_replies", counted)

    async def story(reads: Reads) -> None:
        await reads.run("view", "o", "x")
        batches.clear()
        assert await asyncio.gather(*(reads.run("view", "o", str(i)) for i in range(50))) == (
            [None] * 50
        )
        assert batches == [50]

    with_reads(settings, story)


def test_a_server_that_forgot_its_scripts_is_told_again(
    settings: Settings, connection: "redis.Redis"
) -> None:
    async def story(reads: Reads) -> None:
        for _ in range(2):
            connection.script_flush()
            assert await reads.run("view", "o", "x") is None

    with_reads(settings, story)


def test_one_bad_read_fails_alone(settings: Settings) -> None:
    async def story(reads: Reads) -> None:
        asks = (reads.run("view", "o", *job) for job in (["good"], [], ["good"]))  # of no job
        first, bad, last = await asyncio.gather(*asks, return_exceptions=True)
        assert (first, last) == (None, None)
        assert isinstance(bad, redis.ResponseError)

    with_reads(settings, story)


def test_a_reader_that_leaves_harms_nobody(settings: Settings) -> None:
    async def story(reads: Reads) -> None:
        stays, leaves = (asyncio.create_task(reads.run("view", "o", "x")) for _ in range(2))
        await asyncio.sleep(0)
        leaves.cancel()
        assert await stays is None
        assert await reads.run("view", "o", "x") is None

    with_reads(settings, story)
