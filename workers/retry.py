"""How often what failed is tried again: Redis and the artifact store may be away for a while."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from workers.queue_client import AWAY

log = logging.getLogger("atelier.worker")

T = TypeVar("T")
LONGEST_PAUSE = 5.0  # seconds between two tries


def pause_after(failures: int) -> float:
    """Seconds to wait after so many failures in a row: longer each time, up to a bound."""
    return min(0.05 * 2.0 ** min(failures, 20), LONGEST_PAUSE)


def until_reached(ask: Callable[[], T]) -> T:
    """Ask Redis until it answers: what was made is not thrown away because it is gone."""
    failures = 0
    while True:
        try:
            answer = ask()
        except AWAY as error:
            if not failures:
                log.warning("redis unreachable", extra={"reason": type(error).__name__})
            time.sleep(pause_after(failures))
            failures += 1
        else:
            if failures:
                log.info("redis answers again")
            return answer
