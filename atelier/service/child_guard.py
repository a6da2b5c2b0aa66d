"""A child that keeps a program which knows nothing of the supervisor's pipe: the server.

`python -m atelier.service.child_guard FOLDER PROGRAM ARGUMENT...` runs it, passes on SIGTERM, ends
with its status, and ends it when the supervisor's pipe closes. Should this process be killed
itself, the program is killed by the kernel where that can be asked for (Linux).

Before it starts the program, it repairs the end of the program's log after a power cut. A program
that will never be able to read its data ends this process with status 65.

The program inherits a lock on the folder of its data, so that it is held for exactly as long as
the program lives, whoever dies before it. Two servers would tear one append-only file apart.
"""

import ctypes
import fcntl
import logging
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from app.core import parent_watch
from app.core.log import configure
from atelier.service.append_log import is_unreadable, last_reason, repair

log = logging.getLogger("atelier.keeper")

EX_DATA = 65  # exit status: what the program kept can't be read, and starting again won't help
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
    configure("info")
    os.umask(0o077)
    data = Path(folder)
    held = claim(data)
    try:
        if cut := repair(data, command[0]):
            log.warning("zeros cut off the end of the log", extra=cut._asdict())
    except OSError as error:
        log.error("the end of the log can't be repaired", extra={"reason": str(error)})
        return 1
    before = size_of(data / "log")
    program = subprocess.Popen(
        command,
        pass_fds=[held],
        stdout=subprocess.DEVNULL,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - there are no threads yet
    )
    os.close(held)  # now it is the program's alone
    signal.signal(signal.SIGTERM, lambda *_: program.terminate())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent_watch.watch()
    status = program.wait()
    return explained(status, data / "log", before) if status > 0 else status


def explained(status: int, file: Path, start: int) -> int:
    """Log why the program ended, as its own log says from `start` on; the status to end with."""
    reason = last_reason(file, start)
    log.error("the server ended", extra={"status": status, "reason": reason, "log": file})
    return EX_DATA if is_unreadable(reason) else status


def size_of(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


if __name__ == "__main__":
    sys.exit(main())
