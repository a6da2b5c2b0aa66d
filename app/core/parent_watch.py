"""A child's end of the pipe to its supervisor: when the supervisor dies, so does the child."""

import os
import signal
import threading
import time

VARIABLE = "ATELIER_PARENT_PIPE"  # the number of the inherited pipe's reading end
GRACE = 10.0  # seconds to end in, beyond any draining


def watch(drain: float = 0.0) -> None:
    """End this process when the pipe closes, after `drain` seconds at most and a grace.

    Without a supervisor it does nothing.
    """
    number = os.environ.pop(VARIABLE, None)
    if number is None:
        return

    def wait() -> None:
        os.read(int(number), 1)  # nothing is ever written: it returns at the end of file
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(drain + GRACE)
        os._exit(1)

    threading.Thread(target=wait, name="parent_pipe", daemon=True).start()
