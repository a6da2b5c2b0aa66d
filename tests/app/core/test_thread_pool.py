"""Blocking calls in threads of their own: those that hang hold up no others."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from app.core.log import request_id
from app.core.thread_pool import ThreadPool


class LateError(Exception):
    pass


@pytest.fixture
def hang() -> Iterator[threading.Event]:
    """Calls wait for it; the test's end lets them go."""
    go_on = threading.Event()
    yield go_on
    go_on.set()


@pytest.fixture
def pool() -> Iterator[ThreadPool]:
    pool = ThreadPool("test", 2, 0.05, LateError)
    yield pool
    pool.close()


def patient(size: int) -> ThreadPool:
    return ThreadPool("test", size, 30, LateError)


def fail() -> None:
    raise ValueError("its own error")


def late_itself() -> None:
    raise TimeoutError("the call's own")


def test_a_call_returns_or_raises_what_the_function_does() -> None:
    pool = patient(1)

    async def both() -> int:
        with pytest.raises(ValueError, match="its own"):
            await pool.run(fail)
        with pytest.raises(TimeoutError, match="the call's own"):
            await pool.run(late_itself)
        return await pool.run(max, 1, 2)

    assert asyncio.run(both()) == 2
    assert pool.run_sync(max, 1, 2) == 2
    with pytest.raises(ValueError, match="its own"):
        pool.run_sync(fail)
    with pytest.raises(TimeoutError, match="the call's own"):
        pool.run_sync(late_itself)
    pool.close()


def test_no_more_calls_run_at_once_than_there_are_threads() -> None:
    pool, lock = patient(3), threading.Lock()
    running, most = 0, 0

    def count() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.002)
        with lock:
            running -= 1

    async def many() -> None:
        await asyncio.gather(*(pool.run(count) for _ in range(60)))

    asyncio.run(many())
    assert 1 <= most <= 3
    pool.close()


def test_who_waits_for_calls_that_hang_is_told_so(pool: ThreadPool, hang: threading.Event) -> None:
    async def many() -> list[object]:
        calls = (pool.run(hang.wait) for _ in range(10))
        return [*await asyncio.gather(*calls, return_exceptions=True)]

    assert {type(outcome) for outcome in asyncio.run(many())} == {LateError}
    with pytest.raises(LateError):
        pool.run_sync(hang.wait)


def test_a_call_that_must_not_be_abandoned_is_waited_for() -> None:
    pool = ThreadPool("test", 1, 0.01, LateError, abandon=False)
    go_on, begun = threading.Event(), threading.Event()

    def change() -> str:
        begun.set()
        go_on.wait(30)
        return "changed"

    async def two() -> list[object]:
        first = asyncio.ensure_future(pool.run(change))
        while not begun.is_set():
            await asyncio.sleep(0)
        with pytest.raises(LateError):  # it has not begun, and never will
            await pool.run(change)
        go_on.set()
        return [await first]

    assert asyncio.run(two()) == ["changed"]
    pool.close()


def test_threads_that_come_back_are_used_again(pool: ThreadPool, hang: threading.Event) -> None:
    for _ in range(4):
        with pytest.raises(LateError):
            pool.run_sync(hang.wait)
    hang.set()
    for _ in range(100):
        try:
            assert pool.run_sync(max, 1, 2) == 2
            break
        except LateError:
            pass  # the threads are just coming back
    else:
        pytest.fail("no thread came back")


def test_a_call_whose_caller_has_left_is_never_made(
    pool: ThreadPool, hang: threading.Event
) -> None:
    for _ in range(2):
        with pytest.raises(LateError):
            pool.run_sync(hang.wait)
    calls: list[int] = []
    with pytest.raises(LateError):
        pool.run_sync(calls.append, 1)
    hang.set()
    last = patient(1)
    last.run_sync(int)
    last.close()
    assert calls == []


def test_items_are_made_one_by_one() -> None:
    pool = patient(2)

    async def all_of(items: Iterator[int]) -> list[int]:
        return [item async for item in pool.iterate(items)]

    assert asyncio.run(all_of(iter(range(5)))) == [0, 1, 2, 3, 4]
    assert asyncio.run(all_of(iter(()))) == []
    pool.close()


def test_a_call_has_the_context_of_its_caller() -> None:
    pool = patient(1)
    token = request_id.set("req_1")
    try:
        assert pool.run_sync(request_id.get) == "req_1"
    finally:
        request_id.reset(token)
    assert pool.run_sync(request_id.get) == ""
    pool.close()
