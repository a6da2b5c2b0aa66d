"""How many cores a process may use: those that it is bound to, and no more than its container's
share of them, since threads beyond that only wait for each other."""

import math
import os
import sys
from pathlib import Path

SHARE = Path("/sys/fs/cgroup/cpu.max")  # of a container: microseconds of work in so many, or `max`


def usable_cores(share: Path = SHARE) -> int:
    """At least 1."""
    bound = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    try:
        work, _, period = share.read_text().partition(" ")
        allowed = math.ceil(int(work) / int(period))
    except (OSError, ValueError):  # there is none, or `max`
        return bound
    return max(1, min(bound, allowed))
