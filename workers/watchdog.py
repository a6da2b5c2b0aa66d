"""The watchdog: it finds a thread that hangs in a phase of its work.

1. Every working thread notes what it does in an `Activity`, and each phase has a limit.
2. Time counts as far as the watchdog saw it pass, so that a process that was stopped, or starved
   of its processor, is not taken for one that hangs.
3. A worker with a thread past its limit gives no more sign of life, and ends.
4. A thread that never lets go of the interpreter stops the watchdog too; then a timer of the
   interpreter's own ends the process.
"""

import faulthandler
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from app.core.settings import Settings
from models.engine.activity import Activity, Phase

INTERVAL = 1.0  # seconds between two looks, at most
DEPTH = 12  # frames of a stack that are logged
GAP = 3.0  # intervals between two looks that count, at most


@dataclass(slots=True)
class Watched:
    """A thread's activity, and how long its phase has been seen to last."""

    activity: Activity
    thread: str
    changes: int = -1
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Long:
    """A phase that lasts."""

    activity: Activity
    thread: str
    phase: Phase
    seconds: float

    @property
    def hangs(self) -> bool:
        return self.seconds > self.phase.limit

    @property
    def stack(self) -> str:
        """Where its thread is now."""
        frame = sys._current_frames().get(self.activity.thread)
        return "".join(traceback.format_stack(frame)[-DEPTH:]) if frame else ""

    @property
    def jobs(self) -> set[str]:
        """The jobs that it is for: a flow is known by its job and index."""
        return {str(f[0] if isinstance(f, tuple) else f) for f in self.phase.flows}


class Watchdog:
    """Looks at all activities of a worker from a thread of its own."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._least = settings.hang_timeout
        self._most = max(settings.hang_timeout, settings.job_deadline)
        self._clock, self._last = clock, clock()
        self._watched: list[Watched] = []
        self.interval = min(INTERVAL, settings.hang_timeout / 4)
        self.hung: Long | None = None

    def activity(self, thread: str) -> Activity:
        """What a thread of this name is to note its phases in."""
        activity = Activity(self._least, self._most)
        self._watched.append(Watched(activity, thread))
        return activity

    def look(self) -> Long | None:
        """The phase that hangs, if one does; it stays so."""
        now = self._clock()
        passed, self._last = min(now - self._last, GAP * self.interval), now
        for watched in self._watched:
            changes, phase = watched.activity.state
            same = changes == watched.changes and phase is not None
            watched.seconds = watched.seconds + passed if same else 0.0
            watched.changes = changes
        self.hung = self.hung or next((long for long in self.lasting(1.0) if long.hangs), None)
        return self.hung

    def lasting(self, share: float) -> list[Long]:
        """The phases that have taken this share of their limits."""
        stuck = []
        for watched in self._watched:
            changes, phase = watched.activity.state
            if phase and changes == watched.changes and watched.seconds > share * phase.limit:
                stuck.append(Long(watched.activity, watched.thread, phase, watched.seconds))
        return stuck

    def arm(self) -> None:
        """End this process, with a traceback of all threads, unless it is armed again in time."""
        phases = [w.activity.state[1] for w in self._watched]
        limits = [phase.limit for phase in phases if phase and phase.flows]  # others let go
        faulthandler.dump_traceback_later(max([self._least, *limits]) + self.interval, exit=True)

    def disarm(self) -> None:
        faulthandler.cancel_dump_traceback_later()
