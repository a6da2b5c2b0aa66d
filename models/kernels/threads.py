"""Threads that run one kernel together, each its share of every part of it.

A kernel that reads all weights for each token is as much faster as several cores read faster. Parts
take microseconds, so who is done first looks again and again for the others, and lets other threads
have its core after a while. What a value is added up of never depends on who does it.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from models.kernels.simd import I64, compiled

SPINS = 2000  # looks, before others may have the core
MOST = 8  # threads: more don't read faster


class Member(NamedTuple):
    """What a kernel knows of the team that runs it."""

    number: int  # of this one
    size: int
    arrivals: NDArray[np.int64]  # (1,), at all meetings so far


class ThreadTeam:
    """As many threads as it has members, but for the first, which is whoever calls."""

    def __init__(self, size: int) -> None:
        self.size = max(1, min(size, MOST))
        self._others: ThreadPoolExecutor | None = None
        if others := self.size - 1:
            self._others, there = ThreadPoolExecutor(others), threading.Barrier(others)
            list(self._others.map(lambda _: there.wait(), range(others)))  # all have begun

    def run(self, kernel: Callable[..., None], *args: Any) -> None:
        """kernel(*given, member) by every member; one call at a time."""
        arrivals = np.zeros(1, np.int64)
        members = [Member(number, self.size, arrivals) for number in range(self.size)]
        running = [self._others.submit(kernel, *args, m) for m in members[1:] if self._others]
        kernel(*args, members[0])
        for one in running:
            one.result()


def _arriving(typing: Any, arrivals: Any) -> Any:
    """One more arrival; how many there were before it."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.atomic_rmw("add", pointer, I64(1), "acq_rel")

    return types.int64(arrivals), emit


def _counting(typing: Any, arrivals: Any) -> Any:
    """How many arrivals there are by now."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.load_atomic(pointer, "acquire", 8)

    return types.int64(arrivals), emit


def _yielding(typing: Any) -> Any:
    """Let another thread have the core: POSIX's `sched_yield`."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(32), [])
        function = cgutils.get_or_insert_function(builder.module, kind, "sched_yield")  # type: ignore[no-untyped-call]
        return builder.call(function, [])

    return types.int32(), emit


_arrive: Any = intrinsic(_arriving)
_arrived: Any = intrinsic(_counting)
_give_way: Any = intrinsic(_yielding)


@compiled
def barrier(member: Member) -> None:
    """Go on when all members are here; what each wrote before, all see."""
    if member.size == 1:
        return
    due = (_arrive(member.arrivals) // member.size + 1) * member.size
    looks = 0
    while _arrived(member.arrivals) < due:
        looks += 1
        if looks % SPINS == 0:
            _give_way()


@compiled
def share(member: Member, count: int) -> tuple[int, int]:
    """Where this member's share of so many begins and ends; shares differ by one at most."""
    return count * member.number // member.size, count * (member.number + 1) // member.size
