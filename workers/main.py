"""A worker process: settings, then cache, engine and delivery, then the batching worker's loop."""

import logging
import os
import secrets
import socket
import sys
import time

import redis
import torch

from app.core import log, parent_watch
from app.core.scripts import away_raised
from app.core.settings import EX_CONFIG, Misconfigured, Settings, credentials_refused, read_settings
from app.core.store import Store
from app.core.stores.store_factory import open_store
from models.engine.batching import Placement
from models.engine.device import prepare
from models.engine.engine import Engine
from models.registry import CheckpointRegistry
from workers.cpu_count import usable_cores
from workers.delivery.delivery import Delivery
from workers.delivery.store_writer import StoreWriter
from workers.heartbeat import Guard, Heartbeat, Janitor, Upkeep
from workers.input_reader import InputReader
from workers.model_cache import ModelCache
from workers.queue_client import QueueClient
from workers.timed_store import TimedStore
from workers.wakeup import Wakeup
from workers.watchdog import Watchdog
from workers.worker import BatchWorker, rq_stamp
from workers.worker_loop import Parts, WorkerLoop

logger = logging.getLogger("atelier.worker")

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "int8": torch.int8}
FAILED = 1  # exit status of a worker whose loop broke
REDIS_TIMEOUT = 10.0  # seconds a call may hang before the server counts as away


def placement_of(settings: Settings) -> Placement:
    """Where models go: the device and dtype asked for, or the best at hand."""
    name = settings.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        prepare(torch.device(name))
        device = torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise Misconfigured(f"ATELIER_DEVICE: {name} can't be used: {reason}") from None
    chosen = settings.dtype
    if chosen == "auto":
        chosen = "bfloat16" if device.type == "cuda" else "float32"
    language_dtype = None if settings.language_dtype == "auto" else DTYPES[settings.language_dtype]
    return Placement(device, DTYPES[chosen], language_dtype, settings.model_memory)


def connect(settings: Settings) -> "redis.Redis":
    """A connection that decodes text; the client is shared by nobody else."""
    return redis.Redis.from_url(
        settings.redis_address,
        decode_responses=True,
        encoding_errors="replace",
        socket_timeout=REDIS_TIMEOUT,
    )


def wait_for_redis(settings: Settings) -> None:
    """Start only when the server answers; say so once while it does not.

    Raises Misconfigured where it answers and refuses the password.
    """
    warned = False
    with connect(settings) as connection:
        while True:
            try:
                with away_raised():
                    connection.ping()
                return
            except redis.AuthenticationError:
                raise credentials_refused(settings) from None
            except (redis.ConnectionError, redis.TimeoutError):
                if not warned:
                    logger.warning("waiting for redis")
                    warned = True
                time.sleep(0.2)


class WorkerProcess:
    """One worker with all its parts and threads, made from settings."""

    def __init__(self, settings: Settings, name: str, alone: bool = False) -> None:
        self._settings = settings
        self._connections: list[redis.Redis] = []
        self.placement, wakeup = placement_of(settings), Wakeup()
        store = open_store(settings)
        watchdog = Watchdog(settings)
        writer = StoreWriter(self._client(name), self._timed(store, "store-put"), wakeup.wake)
        self._delivery = Delivery(
            self._client(name), writer, rq_stamp, wakeup.wake, watchdog.activity("delivery")
        )
        cache = ModelCache(
            CheckpointRegistry(*settings.checkpoint_folders),
            self.placement,
            settings.model_memory,
            wakeup.wake,
        )
        self._reader = InputReader(self._timed(store, "store-get"), wakeup.wake, watchdog.activity)
        engine = Engine(self.placement.device, activity=watchdog.activity("main"))
        parts = Parts(self._client(name), cache, engine, self._reader, self._delivery, wakeup)
        self.loop = WorkerLoop(parts, settings)
        heartbeat = Heartbeat(self._client(name), self.loop, watchdog)
        swept = self._timed(store, "store-delete")
        janitor = Janitor(self._client(name), swept, heartbeat, settings)
        guard = Guard(watchdog, self._client(name), self.loop, alone)
        upkeep = Upkeep(heartbeat, janitor, guard, settings)
        raw = redis.Redis.from_url(settings.redis_address, socket_timeout=REDIS_TIMEOUT)
        self._connections.append(raw)
        self.worker = BatchWorker(name, raw, self._connect(), self.loop, upkeep, settings)

    def _timed(self, store: Store, name: str) -> TimedStore:
        """Each kind of call has threads of its own, so that one that hangs holds up no other."""
        return TimedStore(store, name, self._settings.store_timeout)

    def _client(self, name: str) -> QueueClient:
        """Returns a client for one thread."""
        return QueueClient(self._connect(), name, self._settings)

    def _connect(self) -> "redis.Redis":
        self._connections.append(connect(self._settings))
        return self._connections[-1]

    def work(self, burst: bool = False) -> None:
        """Run until told to stop; in a burst, until there is nothing to do.

        Raises what broke the loop, once all that is done has been delivered.
        """
        self._delivery.start()
        self._reader.start()
        self.worker.work(burst=burst, logging_level="WARNING")
        for connection in self._connections:
            connection.close()
        if self.worker.broken:
            raise self.worker.broken


def main() -> int:
    """The process of `python -m workers.main`; exit code 78 where the settings can't be used."""
    name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    try:
        settings = read_settings()
        parent_watch.watch(settings.drain_grace)
        log.configure(settings.log_level)
        placement_of(settings)
        open_store(settings)
        wait_for_redis(settings)
    except Misconfigured as error:
        print(f"atelier: {error}", file=sys.stderr)
        return EX_CONFIG
    logging.getLogger("rq").setLevel(logging.WARNING)
    each = max(1, usable_cores() // settings.workers)
    torch.set_num_threads(settings.threads or each)
    process = WorkerProcess(settings, name, alone=True)
    logger.info("worker ready", extra={"worker": name, "device": str(process.placement.device)})
    status = 0
    try:
        process.work()
    except (Exception, SystemExit):  # what a library's exit would end in silence
        logger.critical("the worker failed", exc_info=True)
        status = FAILED
    if process.loop.loading:  # nobody can stop that thread, and it may take minutes
        logging.shutdown()
        os._exit(status)
    return status


if __name__ == "__main__":
    sys.exit(main())
