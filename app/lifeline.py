"""A child's end of the pipe to its supervisor: when the supervisor dies, so does the child."""

import os
import signal
import threading
import time

VARIABLE = "ATELIER_LIFELINE"  # the number of the inherited pipe's reading end
GRACE = 30.0  # seconds to drain in


def watch() -> None:
    """End this process when the pipe closes. Without a supervisor it does nothing."""
    number = os.environ.pop(VARIABLE, None)
    if number is None:
        return

    def wait() -> None:
        os.read(int(number), 1)  # nothing is ever written: it returns at the end of file
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE)
        os._exit(1)

    threading.Thread(target=wait, name="lifeline", daemon=True).start()
