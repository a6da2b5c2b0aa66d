"""A child that keeps a program which knows nothing of the supervisor's pipe: the server.

`python -m atelier.keeper FOLDER PROGRAM ARGUMENT...` runs it, passes on SIGTERM, ends with its
status, and ends it when the supervisor's pipe closes. Should this process be killed itself, the
program is killed by the kernel where that can be asked for (Linux).

The program inherits a lock on the folder of its data, so that it is held for exactly as long as
the program lives, whoever dies before it. Two servers would tear one append-only file apart.
"""

import ctypes
import fcntl
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from app import lifeline

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)  # loaded before any fork


def claim(folder: Path, patience: float = math.inf) -> int:
    """The descriptor of a lock on the folder. Raises BlockingIOError when patience ends."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if time.monotonic() >= end:
                os.close(descriptor)
                raise
            time.sleep(0.02)


def die_with_parent() -> None:
    """Between fork and exec: ask Linux to kill this process when its parent dies."""
    if sys.platform == "linux":
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> int:
    folder, *command = sys.argv[1:]
    held = claim(Path(folder))
    program = subprocess.Popen(
        command,
        pass_fds=[held],
        stdout=subprocess.DEVNULL,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - there are no threads yet
    )
    os.close(held)  # now it is the program's alone
    signal.signal(signal.SIGTERM, lambda *_: program.terminate())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lifeline.watch()
    return program.wait()


if __name__ == "__main__":
    sys.exit(main())
