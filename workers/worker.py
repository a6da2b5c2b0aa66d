"""An RQ worker that runs many jobs at once, a step at a time; the only worker file that knows rq.

RQ's `work()` loop, its registration and its commands stay. What changes: jobs are claimed several
at a time by one script (`tick.lua`), run together in this process by the engine, and ended by a
commit that is fenced by the execution. It never forks.
"""

import json
import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import redis
from rq import worker_registration
from rq.job import Job
from rq.queue import Queue
from rq.serializers import JSONSerializer
from rq.utils import now, utcformat
from rq.worker.base import BaseWorker, WorkerStatus

from app.core.job_record import WORK, job_key
from app.core.scripts import Scripts, away_raised
from app.core.settings import Settings
from workers.heartbeat import Upkeep
from workers.queue_client import AWAY
from workers.worker_loop import WorkerLoop

log = logging.getLogger("atelier.worker")

IDLE_SECONDS = 1.0  # between looks when nothing rings


def rq_stamp() -> str:
    """Now, as RQ writes it."""
    stamp: str = utcformat(now())
    return stamp


class BatchWorker(BaseWorker):
    """Runs whatever the loop takes in, until it is told to stop.

    RQ reads bytes from its `connection`; `text` is one to the same server that decodes them.
    """

    def __init__(
        self,
        name: str,
        connection: "redis.Redis",
        text: "redis.Redis",
        loop: WorkerLoop,
        upkeep: Upkeep,
        settings: Settings,
    ) -> None:
        super().__init__([], name=name, connection=connection, serializer=JSONSerializer)
        self._loop, self._upkeep, self._settings = loop, upkeep, settings
        self._text = text
        self._scripts = Scripts(text)
        self._stop_at: float | None = None
        self._idle = False  # a burst has found nothing more to do
        self.broken: BaseException | None = None  # what ended the loop, if not a request to stop

    def _set_connection(self, connection: "redis.Redis") -> "redis.Redis":
        """Leave its time-outs: RQ would let a dead line hang for minutes."""
        return connection

    def _set_ip_address(self, connection: "redis.Redis") -> None:
        """redis-py can't parse CLIENT INFO where a socket's path has spaces; RQ only shows it."""
        try:
            super()._set_ip_address(connection)
        except ValueError:
            self.ip_address = "unknown"

    # -- RQ's loop: wait until something is claimed, then run until nothing is left

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """Wait for work. Returns the first claimed job; None on a request to stop, or, where RQ's
        burst mode gives no timeout, when there is nothing to do.
        """
        with self._noting_errors():
            return self._wait_for_work(timeout)

    def _wait_for_work(self, timeout: int | None) -> tuple[Job, Queue] | None:
        self._show(WorkerStatus.IDLE)
        while not self._stop_requested:
            self._loop.look(rq_stamp())
            self._keep_queues()
            if claims := self._loop.claims:
                job = Job(claims[0].job, connection=self.connection, serializer=JSONSerializer)
                return job, Queue(claims[0].record["origin"], connection=self.connection)
            if timeout is None and not self._loop.loading:
                self._idle = True
                return None
            self._loop.wakeup.wait(IDLE_SECONDS)
        return None

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run what was claimed, and all that joins, until nothing is in flight."""
        with self._noting_errors():
            self._show(WorkerStatus.BUSY)
            self._run_until_idle()

    @contextmanager
    def _noting_errors(self) -> Iterator[None]:
        """RQ's loop ends at any error, but says nothing of it afterwards."""
        try:
            yield
        except BaseException as error:
            self.broken = error
            raise

    def check_for_suspension(self, burst: bool) -> None:
        """Does nothing: the claim script obeys `rq suspend`, and what runs runs on."""

    def _run_until_idle(self) -> None:
        while self._loop.claims:
            self._loop.turn(self._stop_at is None, rq_stamp)
            if self._stop_at is not None and time.monotonic() >= self._stop_at:
                self._loop.release()
                return

    def _keep_queues(self) -> None:
        """Tell RQ which queues are read, as checkpoints come and go."""
        names = self._loop.queue_names()
        if names != self.queue_names():
            self.queues = [
                Queue(n, connection=self.connection, serializer=JSONSerializer) for n in names
            ]
            self._ordered_queues = self.queues[:]
            self._quietly(self._enroll)

    def _show(self, state: WorkerStatus) -> None:
        self._quietly(lambda: self.set_state(state.value))

    def _quietly(self, write: Any) -> None:
        """Records that only people read are not worth dying for while Redis is away."""
        try:
            with away_raised():
                write()
        except AWAY as error:
            log.warning("redis unreachable", extra={"reason": type(error).__name__})

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """RQ's sign of life, and its record anew, should a reaper have struck it off."""
        self._quietly(lambda: super(BatchWorker, self).heartbeat(timeout, pipeline))
        if pipeline is None:
            self._quietly(self._enroll)

    def _enroll(self) -> None:
        with self.connection.pipeline() as pipe:
            pipe.hset(self.key, mapping=self.serialize())
            worker_registration.register(self, pipe)
            pipe.execute()

    # -- starting and stopping

    def bootstrap(self, *args: Any, **kwargs: Any) -> None:
        super().bootstrap(*args, **kwargs)
        self._upkeep.start(self.heartbeat)  # after the birth: RQ takes a sign of life for a twin

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """SIGTERM or Ctrl-C: finish what ends within the grace. Again: stop at once.

        It only sets flags and rings: a signal may arrive in the middle of any Redis call.
        """
        again = self._stop_at is not None
        self._stop_at = time.monotonic() + (0 if again else self._settings.drain_grace)
        self._stop_requested = True
        self._loop.wakeup.wake()

    def _install_signal_handlers(self) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self.request_stop)
            signal.signal(signal.SIGTERM, self.request_stop)

    def teardown(self) -> None:
        if not (self.broken or self._stop_requested or self._idle):
            self.broken = RuntimeError("RQ's loop ended by itself")
        try:
            self._loop.close(broken=self.broken is not None)
        finally:
            self._upkeep.stop()
            self._quietly(super().teardown)

    # -- RQ's commands and upkeep

    def subscribe(self) -> None:
        """RQ's channel for commands and ours for news of work, on one connection and thread."""
        self.pubsub = self.connection.pubsub()  # type: ignore[no-untyped-call]
        self.pubsub.subscribe(
            **{
                self.pubsub_channel_name: self.handle_payload,
                WORK: lambda _: self._loop.wakeup.wake(),
            }
        )
        self.pubsub_thread = self.pubsub.run_in_thread(  # type: ignore[assignment]
            sleep_time=60, daemon=True, exception_handler=self._pubsub_exception_handler
        )

    def _pubsub_exception_handler(self, exc: Exception, pubsub: Any, pubsub_thread: Any) -> None:
        """Wait for Redis to come back; until then the loop looks without being rung."""
        if not isinstance(exc, redis.ConnectionError | redis.TimeoutError):
            log.error("a command failed", exc_info=exc)
        time.sleep(0.5)

    def handle_payload(self, message: dict[str, Any]) -> None:
        """`rq` asks to stop one of the jobs in flight: that is a cancel, as durable as any."""
        payload = json.loads(message["data"])
        if payload.get("command") not in ("stop-job", "stop-execution"):
            super().handle_payload(message)  # type: ignore[no-untyped-call]
            return
        job = str(payload.get("job_id"))
        owner, worker = self._text.hmget(job_key(job), "owner", "worker_name")
        if worker == self.name and owner is not None:
            self._scripts.run("cancel", owner, job)

    @property
    def should_run_maintenance_tasks(self) -> bool:
        return False  # the housekeeper does: RQ's cleaning would judge jobs by its own rules

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0.0) -> int:
        return round(self._settings.lease)
