"""What one thread is doing: a note that the thread writes and the watchdog reads."""

import math
from collections.abc import Hashable
from dataclasses import dataclass
from threading import get_ident
from types import TracebackType


@dataclass(frozen=True, slots=True)
class Phase:
    """One thing that a thread does, for how long at most, and for which flows or jobs."""

    name: str
    limit: float  # seconds
    flows: tuple[Hashable, ...] = ()


class Activity:
    """The current phase of one thread, and how many phases there were before it.

    A phase may take `least` seconds, or more where its own limit says so, but never over `most`.
    """

    def __init__(self, least: float = math.inf, most: float = math.inf) -> None:
        self._least, self._most = least, most
        self.state: tuple[int, Phase | None] = (0, None)  # replaced whole: others read it
        self.thread = 0  # the identifier of the thread

    def enter(self, name: str, flows: tuple[Hashable, ...] = (), limit: float = 0.0) -> None:
        """Begin a phase, in place of the one before."""
        self.set(Phase(name, max(self._least, min(limit, self._most)), flows))

    def rest(self) -> None:
        """From now on the thread may wait for as long as it likes."""
        self.set(None)

    def during(self, name: str, flows: tuple[Hashable, ...] = (), limit: float = 0.0) -> "During":
        """A phase for the length of a `with` block; then the outer one begins anew."""
        return During(self, name, flows, limit)

    def set(self, phase: Phase | None) -> None:
        self.thread = get_ident()
        self.state = (self.state[0] + 1, phase)


class During:
    """A phase within another."""

    __slots__ = ("_activity", "_flows", "_limit", "_name", "_outer")

    def __init__(
        self, activity: Activity, name: str, flows: tuple[Hashable, ...], limit: float
    ) -> None:
        self._activity, self._name, self._flows, self._limit = activity, name, flows, limit
        self._outer: Phase | None = None

    def __enter__(self) -> None:
        self._outer = self._activity.state[1]
        self._activity.enter(self._name, self._flows, self._limit)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._activity.set(self._outer)
