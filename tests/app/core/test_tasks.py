"""Tasks beside the requests end, whatever they await."""

import asyncio

import pytest

from app.core.tasks import end_task


def test_a_task_that_swallows_a_cancellation_ends_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.core.tasks.AGAIN", 0.01)

    async def stubborn() -> None:
        for _ in range(3):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue
        await asyncio.Event().wait()

    async def run() -> bool:
        task = asyncio.create_task(stubborn())
        await asyncio.sleep(0)
        await end_task(task)
        return task.cancelled()

    assert asyncio.run(run())


def test_what_a_task_ended_with_is_raised() -> None:
    async def broken() -> None:
        raise ValueError("broken")

    async def run() -> None:
        task = asyncio.create_task(broken())
        await asyncio.sleep(0)
        await end_task(task)

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(run())
