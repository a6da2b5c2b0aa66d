"""What goes on beside the work: signs of life, the watchdog, and burying the dead.

Two threads, each with a desk of its own, so that a slow store never delays a lease.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable

from app.settings import Settings
from app.store import Store, StoreError
from workers.desk import AWAY, Desk
from workers.floor import Floor

log = logging.getLogger("atelier.worker")

HUNG = 70  # exit status of a worker that its watchdog ended


class Upkeep:
    """The two threads, for as long as the worker works."""

    def __init__(self, pulse: "Pulse", keeper: "Housekeeper", settings: Settings) -> None:
        self._pulse, self._keeper, self._settings = pulse, keeper, settings
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, heartbeat: Callable[[], None]) -> None:
        self._every(self._settings.heartbeat, lambda: self._pulse.beat(heartbeat))
        self._every(self._settings.sweep_interval, self._keeper.clean)

    def stop(self) -> None:
        """No sign of life after this."""
        self._over.set()
        for thread in self._threads:
            thread.join(1)
        self._pulse.last()

    def _every(self, seconds: float, act: Callable[[], None]) -> None:
        """Act now and after each pause, through any absence of Redis."""

        def loop() -> None:
            while not self._over.is_set():
                attempt(act)
                self._over.wait(seconds)

        thread = threading.Thread(target=loop, name="upkeep", daemon=True)
        thread.start()
        self._threads.append(thread)


def attempt(act: Callable[[], None]) -> None:
    """Upkeep is tried again later, whatever went wrong."""
    try:
        act()
    except AWAY as error:
        log.warning("redis unreachable", extra={"reason": type(error).__name__})
    except Exception:
        log.exception("upkeep failed")


class Pulse:
    """Renews the lease, and ends the process when a step hangs."""

    def __init__(self, desk: Desk, floor: Floor, settings: Settings) -> None:
        self._desk, self._floor, self._settings = desk, floor, settings
        self._facts = {"pid": os.getpid(), "host": socket.gethostname()}

    def beat(self, heartbeat: Callable[[], None]) -> None:
        began = self._floor.tick_began
        if began is not None and time.monotonic() - began > self._settings.hang_timeout:
            log.critical("a step hangs; the worker ends itself")
            os._exit(HUNG)
        self.renew()
        heartbeat()

    def renew(self) -> None:
        self._desk.renew(self._facts | self._floor.facts())

    def last(self) -> None:
        attempt(self._desk.resign)


class Housekeeper:
    """Gives back the jobs of the dead and sweeps what time has ended, one worker at a time."""

    def __init__(self, desk: Desk, store: Store, pulse: Pulse) -> None:
        self._desk, self._store, self._pulse = desk, store, pulse

    def clean(self) -> None:
        if not self._desk.lead():
            return
        self._pulse.renew()  # after a stall of all, the first to wake must not bury itself
        for worker, job, fate in self._desk.reap():
            log.warning("worker lost", extra={"lost": worker, "job": job, "fate": fate})
        hashes = self._desk.sweep()
        for report in self._desk.reports():
            log.error("record unreadable", extra=report)
        for sha256 in hashes:
            if self._desk.doom(sha256, "begin"):
                self._desk.doom(sha256, "done" if self._delete(sha256) else "failed")

    def _delete(self, sha256: str) -> bool:
        try:
            self._store.delete(sha256)
        except StoreError as error:
            log.warning("artifact not deleted", extra={"reason": str(error)})
            return False
        return True
