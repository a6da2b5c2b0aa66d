"""The parent of the embedded server, which itself does not watch the supervisor's pipe.

`python -m atelier.service.child_guard FOLDER PROGRAM ARGUMENT...` runs the server, passes SIGTERM
on, exits with its status, and ends it when the supervisor's pipe closes. If this process is killed,
Linux kills the server.

It first repairs the end of the server's log after a power cut. It exits with status 65 if the
server will never be able to read its data.

The server inherits a lock on its data folder, so the folder is locked exactly as long as the server
lives. Two servers would corrupt the append-only file.
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
from functools import partial
from pathlib import Path

from app.core import parent_watch
from app.core.log import configure
from atelier.service.append_log import is_unreadable, last_reason, repair_log

log = logging.getLogger("atelier.child_guard")

EX_DATA = 65  # exit status: the data can't be read, and a restart won't help
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)  # loaded before any fork


def lock_folder(folder: Path, patience: float = math.inf) -> int:
    """Returns the descriptor of a lock on the folder. Raises BlockingIOError after `patience` s."""
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


def die_with_parent(parent: int) -> None:
    """Asks Linux to kill this process when `parent` dies; called between fork and exec.

    A parent that died before the request sends no signal, so then this process ends at once.
    """
    if sys.platform == "linux":
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def main() -> int:
    folder, *command = sys.argv[1:]
    configure("info")
    os.umask(0o077)
    data = Path(folder)
    lock = lock_folder(data)
    try:
        if cut := repair_log(data, command[0]):
            log.warning("zeros cut off the end of the log", extra=cut._asdict())
    except OSError as error:
        log.error("the end of the log can't be repaired", extra={"reason": str(error)})
        return 1
    before = size_of(data / "log")
    program = subprocess.Popen(
        command,
        pass_fds=[lock],
        stdout=subprocess.DEVNULL,
        preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509 - there are no threads yet
    )
    os.close(lock)  # now it is the program's alone
    signal.signal(signal.SIGTERM, lambda *_: program.terminate())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent_watch.watch()
    status = program.wait()
    return exit_status(status, data / "log", before) if status > 0 else status


def exit_status(status: int, file: Path, start: int) -> int:
    """Logs why the program ended, by its own log from byte `start` on, and returns our status."""
    reason = last_reason(file, start)
    log.error("the server ended", extra={"status": status, "reason": reason, "log": file})
    return EX_DATA if is_unreadable(reason) else status


def size_of(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


if __name__ == "__main__":
    sys.exit(main())
