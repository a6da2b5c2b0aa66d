"""A child that keeps a program which knows nothing of the supervisor's pipe: the server.

`python -m atelier.keeper PROGRAM ARGUMENT...` runs it, passes on SIGTERM, ends with its status,
and kills it when the supervisor's pipe closes. Should this process be killed itself, the program
is killed by the kernel where that can be asked for (Linux).
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading

from app.lifeline import VARIABLE

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Between fork and exec: ask Linux to kill this process when its parent dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> int:
    lifeline = int(os.environ.pop(VARIABLE))
    program = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, preexec_fn=die_with_parent)  # noqa: PLW1509 - no threads yet

    def wait_for_the_end() -> None:
        os.read(lifeline, 1)
        program.terminate()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: program.terminate())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return program.wait()


if __name__ == "__main__":
    sys.exit(main())
