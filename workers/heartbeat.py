"""What goes on beside the work: signs of life, the watchdog, and burying the dead.

Three threads: one renews the lease, one cleans up, one watches for threads that hang. Each talks
to Redis by itself, so that a slow store never delays a lease, nor Redis the watchdog.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable

from app.core.settings import Settings
from app.core.store import StoreError
from workers.queue_client import AWAY, QueueClient
from workers.timed_store import TimedStore
from workers.watchdog import Long, Watchdog
from workers.worker_loop import WorkerLoop

log = logging.getLogger("atelier.worker")

HUNG = 70  # exit status of a worker that its watchdog ended
STUCK = 0.25  # of a phase's limit: then one asks whether its job is still wanted


class Upkeep:
    """The threads, for as long as the worker works."""

    def __init__(
        self, heartbeat: "Heartbeat", janitor: "Janitor", guard: "Guard", settings: Settings
    ) -> None:
        self._heartbeat, self._janitor, self._guard = heartbeat, janitor, guard
        self._settings = settings
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, heartbeat: Callable[[], None]) -> None:
        beat, changed = lambda: self._heartbeat.beat(heartbeat), self._heartbeat.changed
        self._every(self._settings.heartbeat, beat, changed)
        self._every(self._settings.sweep_interval, self._janitor.clean)
        self._every(self._guard.interval, self._guard.check)

    def stop(self) -> None:
        """No sign of life after this."""
        self._over.set()
        self._heartbeat.changed.set()
        self._guard.stop()
        for thread in self._threads:
            thread.join(1)
        self._heartbeat.last()

    def _every(
        self, seconds: float, act: Callable[[], None], changed: threading.Event | None = None
    ) -> None:
        """Act now and after each pause, which `changed` ends; through any absence of Redis."""

        def loop() -> None:
            while not self._over.is_set():
                if changed:
                    changed.clear()
                attempt(act)
                (changed or self._over).wait(seconds)

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


class Heartbeat:
    """Renews the lease while no thread hangs."""

    def __init__(self, client: QueueClient, loop: WorkerLoop, watchdog: Watchdog) -> None:
        self._client, self._loop, self._watchdog = client, loop, watchdog
        self.changed = loop.changed
        self._facts = {"pid": os.getpid(), "host": socket.gethostname()}

    def beat(self, heartbeat: Callable[[], None]) -> None:
        self.renew()
        heartbeat()

    def renew(self) -> None:
        if self._watchdog.hung:
            return  # it is as good as dead
        done = self._loop.orders.done  # read first: the facts show them
        self._client.renew(self._facts | self._loop.facts(), done)

    def last(self) -> None:
        attempt(self._client.resign)


class Guard:
    """Ends the process where the watchdog finds a thread that hangs, or one that is stuck in a job
    that nobody wants any more."""

    def __init__(
        self, watchdog: Watchdog, client: QueueClient, loop: WorkerLoop, alone: bool = False
    ) -> None:
        self._watchdog, self._client, self._loop = watchdog, client, loop
        self._alone = alone  # whether the process is this worker's only
        self.interval = watchdog.interval

    def check(self) -> None:
        if self._alone:
            self._watchdog.arm()
        if hung := self._watchdog.look():
            self._end(hung, "a thread hangs; the worker ends itself")
        for stuck in self._watchdog.lasting(STUCK):
            if stuck.phase.name != "step" and self._is_unwanted(stuck.jobs):
                self._end(stuck, "a thread is stuck in a job that has ended; the worker ends")

    def stop(self) -> None:
        if self._alone:
            self._watchdog.disarm()

    def _is_unwanted(self, jobs: set[str]) -> bool:
        claims = [claim for claim in self._loop.claims if claim.job in jobs]
        return bool(claims) and not any(map(self._client.wants, claims))

    def _end(self, long: Long, message: str) -> None:
        """Only the jobs that the thread works for are charged."""
        try:
            facts = {"where": long.thread, "phase": long.phase.name, "jobs": sorted(long.jobs)}
            log.critical(message, extra={**facts, "seconds": long.seconds, "stack": long.stack})
            innocent = [claim for claim in self._loop.claims if claim.job not in long.jobs]
            attempt(lambda: self._client.release(innocent))
            attempt(self._client.resign)
        finally:
            os._exit(HUNG)


class Janitor:
    """Gives back the jobs of the dead and sweeps what time has ended, one worker at a time."""

    def __init__(
        self, client: QueueClient, store: TimedStore, heartbeat: Heartbeat, settings: Settings
    ) -> None:
        self._client, self._store, self._heartbeat = client, store, heartbeat
        self._leftover_age = settings.result_ttl + settings.job_deadline + settings.orphan_ttl

    def clean(self) -> None:
        if not self._client.lead():
            return
        self._heartbeat.renew()  # after a stall of all, the first to wake must not bury itself
        for worker, job, fate in self._client.reap():
            log.warning("worker lost", extra={"lost": worker, "job": job, "fate": fate})
        hashes = self._client.sweep()
        for report in self._client.reports():
            log.error("record unreadable", extra=report)
        for sha256 in hashes:
            if self._client.doom(sha256, "begin"):
                deleted = self._delete(sha256)
                self._client.doom(sha256, "done" if deleted else "failed")
                if not deleted:
                    return  # a store that hangs would keep the reaper from the dead
        self._find_leftovers()

    def _find_leftovers(self) -> None:
        """Compare a page of the store with what Redis knows: it may have been emptied.

        Only files that are too old for any job count, even for one of another Redis.
        """
        after = self._client.scan_position()
        if after is None:
            return
        try:
            page = self._store.page(after)
        except StoreError as error:
            log.warning("store not listed", extra={"reason": str(error)})
            return
        oldest = time.time() - self._leftover_age
        old = [sha256 for sha256, written in page if written < oldest]
        if old and (count := self._client.adopt(old)):
            log.warning("files that no job knows", extra={"count": count})
        self._client.note_scan(page[-1][0] if page else None)

    def _delete(self, sha256: str) -> bool:
        try:
            self._store.delete(sha256)
        except StoreError as error:
            log.warning("artifact not deleted", extra={"reason": str(error)})
            return False
        return True
