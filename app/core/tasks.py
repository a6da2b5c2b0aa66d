"""Ends tasks that run beside the requests."""

import asyncio
from typing import Any

AGAIN = 0.5  # seconds between two cancellations


async def end_task(task: "asyncio.Task[Any]") -> None:
    """Cancel a task, and wait for its end. Raises the error that it ended with.

    A task that awaits Redis is canceled again until it ends: where the answer has come at the same
    moment, asyncio's time-outs can swallow a cancellation, and a loop would go on for good.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=AGAIN)
    if not task.cancelled() and (error := task.exception()):
        raise error
