"""Threads of their own for one kind of blocking call, so that calls that hang hold up no others.

1. At most `size` calls run at once; the rest wait their turn.
2. A caller waits at most `timeout` seconds, for its turn and its answer together; see `abandon`.
3. A call that hangs keeps its thread until it returns. The threads are daemons, so that it does
   not hold up the end of the process.
"""

import asyncio
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import Future, wait
from contextvars import copy_context
from functools import partial
from itertools import islice
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class ThreadPool:
    """Runs blocking calls. `late` makes the error of a caller that has waited too long.

    Where a call may change something, `abandon=False` waits on for one that has begun: such calls
    have time-outs of their own, and their callers must know what came of them.
    """

    def __init__(
        self,
        name: str,
        size: int,
        timeout: float,
        late: Callable[[], Exception],
        *,
        abandon: bool = True,
    ) -> None:
        self._name, self._size, self._timeout, self._late = name, size, timeout, late
        self._abandon = abandon
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]
        self._calls = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._threads = 0

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the function returns or raises, awaited. Raises `late()`."""
        future = self._submit(partial(function, *args, **kwargs))
        answer = asyncio.wrap_future(future)
        try:
            await asyncio.wait({answer}, timeout=self._timeout)
            if not answer.done() and (future.cancel() or self._abandon):
                raise self._late()
            return await answer
        finally:
            answer.cancel()  # of a caller that has left; else it is done

    async def iterate(self, items: Iterator[T]) -> AsyncGenerator[T]:
        """The items, each made by a call of its own. Raises `late()`."""
        while item := await self.run(lambda: list(islice(items, 1))):
            yield item[0]

    def run_sync(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the function returns or raises, waited for by this thread. Raises `late()`."""
        future = self._submit(partial(function, *args, **kwargs))
        wait({future}, self._timeout)
        if not future.done() and (future.cancel() or self._abandon):
            raise self._late()
        return future.result()

    def close(self) -> None:
        """End the threads that wait for calls; those that hang end when they return."""
        with self._lock:
            for _ in range(self._threads):
                self._calls.put(None)
            self._threads = 0

    def _submit(self, call: Callable[[], T]) -> "Future[T]":
        future: Future[T] = Future()
        self._calls.put((future, partial(copy_context().run, call)))
        if not self._idle.acquire(blocking=False):
            self._grow()
        return future

    def _grow(self) -> None:
        with self._lock:
            if self._threads == self._size:
                return
            self._threads += 1
        threading.Thread(target=self._work, name=self._name, daemon=True).start()

    def _work(self) -> None:
        while (item := self._next()) is not None:
            future, call = item
            if not future.set_running_or_notify_cancel():
                continue  # its caller has left
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)
            del item, future, call  # else an idle thread would keep what it returned

    def _next(self) -> tuple["Future[Any]", Callable[[], Any]] | None:
        try:
            return self._calls.get_nowait()
        except queue.Empty:
            self._idle.release()
            return self._calls.get()
