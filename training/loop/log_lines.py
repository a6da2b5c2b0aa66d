"""Lines of progress on standard error, for a log: where nobody looks at a bar."""

import math
import sys
import time
from collections.abc import Callable

LINE_SECONDS = 30.0

Tell = Callable[[str, bool], None]
"""Given a line whenever there is one to tell, and whether it is the last."""


def now_and_then() -> Tell:
    """Prints the first line, one every half minute, and the last."""
    told = -math.inf

    def tell(line: str, last: bool) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told < LINE_SECONDS and not last:
            return
        told = now
        print(line, file=sys.stderr, flush=True)

    return tell
