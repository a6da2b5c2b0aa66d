"""Something to sleep by: any thread, and any signal handler, may wake; one thread waits."""

import os
import select


class Wakeup:
    """A pipe to oneself: unlike a lock, it may be rung from a signal handler."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)

    def wake(self) -> None:
        try:
            os.write(self._write, b".")
        except BlockingIOError:
            return  # it is full: whoever waits will wake anyway

    def wait(self, seconds: float) -> bool:
        """Sleep until it rings, or for so long. Says whether it rang since it was last asked."""
        readable, _, _ = select.select([self._read], [], [], seconds)
        if not readable:
            return False
        os.read(self._read, 65536)
        return True
