"""The artifact store asked again: it may be away for a moment."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from app.store import Missing, StoreError

log = logging.getLogger("atelier.worker")

T = TypeVar("T")
TRIES = 5
LONGEST_PAUSE = 2.0  # seconds between two tries


def persistently(ask: Callable[[], T]) -> T:
    """What the store answers. Raises Missing at once, any other StoreError after the last try."""
    for attempt in range(TRIES - 1):
        try:
            return ask()
        except Missing:
            raise
        except StoreError as error:
            log.warning("store refused", extra={"reason": str(error)})
            time.sleep(min(0.1 * 2**attempt, LONGEST_PAUSE))
    return ask()
