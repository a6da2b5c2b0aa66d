"""Writes files to the artifact store, in a thread of its own; a store that can't be is waited for.

1. A file that could not be written is tried again until it is, or until nobody wants it any more.
2. After one failed try the store counts as unusable, and `problem` says why. Then probes of the
   file's size are written, with growing pauses, until one succeeds.
3. A file that fails though its probe succeeds is tried again with pauses of its own, so that it
   holds up no other. What is the file's own fault is not tried again.
4. Before a file is written, Redis knows of it, so that the sweep leaves its bytes alone.
"""

import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from app.core.store import FileTooLarge, StoreError
from workers.queue_client import QueueClient
from workers.retry import pause_after, until_reached
from workers.timed_store import TimedStore

log = logging.getLogger("atelier.worker")

FAILED = 70  # exit status of a worker that can't go on
LARGEST_PROBE = 2**20  # bytes
ALONE = 2  # failures of a file after which it may be the only one that fails


@dataclass(eq=False, slots=True)
class File:
    """A file on its way into the store. Its thread alone sets all but `unwanted`."""

    data: bytes
    sha256: str
    done: bool = False
    error: Exception | None = None  # why it will never be there, though it is done with
    unwanted: bool = False  # its job ended meanwhile
    failures: int = 0
    due: float = 0.0  # when it is tried again


class StoreWriter:
    """One thread that owns all writing. `problem` is None while the store can be written."""

    def __init__(self, client: QueueClient, store: TimedStore, wake: Callable[[], None]) -> None:
        self._client, self._store, self._wake = client, store, wake
        self._arriving: queue.SimpleQueue[list[File]] = queue.SimpleQueue()
        self._waiting: list[File] = []
        self._over, self._check_asked = threading.Event(), threading.Event()
        self._notify: Callable[[], None] = wake
        self.problem: str | None = None

    def start(self, notify: Callable[[], None]) -> None:
        """Begin; `notify` is called after files are done."""
        self._notify = notify
        threading.Thread(target=self._work, name="store", daemon=True).start()

    def write(self, files: list[File]) -> None:
        """Have these written, in this order where all goes well."""
        if files:
            self._arriving.put(files)

    def check(self) -> None:
        """Have tried whether the store can be written: a read of it has failed."""
        self._check_asked.set()
        self._arriving.put([])

    def close(self) -> None:
        """Write no more; a call that hangs holds up no end."""
        self._over.set()
        self._arriving.put([])
        self._store.close()

    def _work(self) -> None:
        try:
            while not self._over.is_set():
                self._receive()
                if self._check_asked.is_set() and self.problem is None:
                    self._check_store()
                self._write_due()
        except Exception:
            log.critical("the store's thread failed; the worker ends itself", exc_info=True)
            os._exit(FAILED)  # a worker that can't store must not go on claiming

    def _receive(self) -> None:
        """Wait for files, or until one of those that failed is due."""
        timeout = None
        if self._waiting:
            timeout = max(0.0, min(file.due for file in self._waiting) - time.monotonic())
        try:
            self._waiting += self._arriving.get(timeout=timeout)
            while not self._arriving.empty():
                self._waiting += self._arriving.get()
        except queue.Empty:
            return

    def _write_due(self) -> None:
        self._waiting = [file for file in self._waiting if not file.unwanted]
        due = [file for file in self._waiting if file.due <= time.monotonic()]
        hashes = [file.sha256 for file in due]
        while hashes and not until_reached(lambda: self._client.hold(hashes)):
            if self._over.wait(0.05):  # the bytes of one are just being deleted
                return
        for file in due:
            if not self._write(file):
                break  # the rest is announced anew, should this have taken long
        self._waiting = [file for file in self._waiting if not file.done]
        if due:
            self._notify()

    def _write(self, file: File) -> bool:
        """Try once. Returns whether the store could be written, after waiting for it if not."""
        try:
            if not file.unwanted:
                self._store.put(file.data)
        except FileTooLarge as error:
            file.error = error
        except StoreError as error:
            file.due = time.monotonic() + pause_after(file.failures)
            file.failures += 1
            size = min(len(file.data), LARGEST_PROBE)
            if file.failures > ALONE and self._probe(size) is None:
                return True  # it fails for a reason of its own
            self._notify()
            self._wait_for_store(str(error), size)
            return False
        except Exception as error:
            file.error = error
        file.done = True
        return True

    def _check_store(self) -> None:
        self._check_asked.clear()
        if reason := self._probe(1):
            self._wait_for_store(reason, 1)

    def _wait_for_store(self, reason: str, size: int) -> None:
        problem: str | None = reason
        failures = 0
        while problem is not None:
            self._note(problem)
            if self._over.wait(pause_after(failures)):
                return
            problem = self._probe(size)
            failures += 1
        self._check_asked.clear()
        self._note(None)

    def _probe(self, size: int) -> str | None:
        """Write so many bytes that nobody has, and delete them. Returns why that can't be done."""
        try:
            sha256 = self._store.put(os.urandom(max(size, 16)))
        except StoreError as error:
            return str(error)
        with suppress(StoreError):  # it can be written, which is what was asked
            self._store.delete(sha256)
        return None

    def _note(self, problem: str | None) -> None:
        if problem == self.problem:
            return
        self.problem = problem
        if problem is None:
            log.info("the store can be written again")
        else:
            log.error("the store can't be written", extra={"reason": problem})
        self._wake()
