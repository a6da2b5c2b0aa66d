"""Ctrl-C and SIGTERM end a training after the step it is at, so that nothing is lost."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def deferred_signals() -> Iterator[Callable[[], int | None]]:
    """Within, the first signal is only noted; calling what is given tells its number.

    A second one does what it does elsewhere: who is in a hurry is not kept. Signals reach the main
    thread alone, so in another thread nothing is noted.
    """
    noted: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, _: FrameType | None) -> None:
        noted.append(number)
        restore()

    for number in SIGNALS:
        signal.signal(number, note)
    try:
        yield lambda: noted[0] if noted else None
    finally:
        restore()
