"""A child process of the supervisor: started, started again after it dies, and ended."""

import logging
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.core.parent_watch import VARIABLE
from app.core.settings import EX_CONFIG
from atelier.service.append_log import last_reason
from atelier.service.child_guard import EX_DATA

log = logging.getLogger("atelier.supervisor")

LONGEST_PAUSE = 10.0  # seconds between two starts of a child that keeps dying
STEADY = 30.0  # a child that has lived so long starts at once again


class Refused(RuntimeError):
    """The service can't be started as asked; the message says why."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status  # that the command exits with


@dataclass
class Child:
    """A process that the supervisor keeps running."""

    name: str  # its kind, such as `worker`, and a suffix if there are several
    command: Sequence[str | Path]
    environment: Mapping[str, str]
    parent_pipe: int
    on_end: Callable[[int], None] | None = None  # called with the status, if it runs only once
    log: Path | None = None  # the file where it says what is wrong, if not on standard error
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    pause: float = 0.0
    restart_at: float = 0.0
    ended: bool = False  # and is not to be started again

    @property
    def kind(self) -> str:
        return self.name.partition("-")[0]

    def start(self) -> None:
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(
            [*self.command],
            env=dict(self.environment) | {VARIABLE: str(self.parent_pipe)},
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,  # the supervisor's own output is what a script reads
            pass_fds=[self.parent_pipe],
            start_new_session=True,  # Ctrl-C reaches the supervisor, which stops them in order
        )

    def keep_running(self) -> None:
        """Starts it if it is not running and its pause is over.

        Raises Refused if it ended with status 78, or could not read its data.
        """
        if self.process is None:
            if time.monotonic() >= self.restart_at:
                try:
                    self.start()
                except OSError as error:  # no memory or no processes left, for now
                    self._schedule_restart(str(error))
        elif (status := self.process.poll()) is not None:
            if status == EX_DATA and self.log:
                reason = last_reason(self.log) or "no reason given"
                message = f"{self.name} can't read what it has kept: {reason}"
                raise Refused(f"{message} (its log is {self.log})")
            if status == EX_CONFIG:
                raise Refused(f"{self.name} can't run as configured", EX_CONFIG)
            if self.on_end is None:
                self._schedule_restart(status)
            elif not self.ended:
                self.ended = True
                self.on_end(status)

    def _schedule_restart(self, status: int | str) -> None:
        """Plans the next start: at once if the child was steady, else later each time."""
        now = time.monotonic()
        steady = now - self.started_at > STEADY
        self.pause = 0.0 if steady else min(LONGEST_PAUSE, 2 * self.pause + 0.2)
        log.warning("child died", extra={"child": self.name, "status": status})
        self.process, self.restart_at = None, now + self.pause

    def terminate(self) -> None:
        """Asks it to end."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def wait(self, grace: float) -> None:
        """Waits until it ends, and kills it after `grace` seconds."""
        if self.process is None:
            return
        try:
            self.process.wait(grace)
        except subprocess.TimeoutExpired:
            log.warning("child killed", extra={"child": self.name})
            self.process.kill()
            self.process.wait()


def stop_together(children: Sequence[Child], grace: float) -> None:
    """Asks all to end at once, waits for each, and kills those that take longer than `grace`."""
    for child in children:
        child.terminate()
    end = time.monotonic() + grace
    for child in children:
        child.wait(max(0.0, end - time.monotonic()))
