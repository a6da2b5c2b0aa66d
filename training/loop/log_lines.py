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
    printed = -math.inf

    def tell(line: str, last: bool) -> None:
        nonlocal printed
        now = time.monotonic()
        if now - printed < LINE_SECONDS and not last:
            return
        printed = now
        print(line, file=sys.stderr, flush=True)

    return tell
