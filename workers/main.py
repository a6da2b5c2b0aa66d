"""A worker process: settings, then host, engine and delivery, then the batching worker's loop."""

import logging
import os
import secrets
import socket
import sys
import threading
import time

import redis
import torch

from app import lifeline, log
from app.settings import Settings
from app.store import Store
from models.batching import Place
from models.shelf import Shelf
from workers.batch_worker import BatchWorker, rq_stamp
from workers.delivery import Delivery
from workers.desk import Desk
from workers.doorbell import Doorbell
from workers.engine import Engine
from workers.floor import Floor
from workers.host import Host
from workers.upkeep import Housekeeper, Pulse, every

logger = logging.getLogger("atelier.worker")

REDIS_TIMEOUT = 10.0  # seconds a call may hang before the server counts as away


def place_of(settings: Settings) -> Place:
    """Where models go: the device and dtype asked for, or the best at hand."""
    name = settings.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    chosen = settings.dtype
    if chosen == "auto":
        chosen = "bfloat16" if device.type == "cuda" else "float32"
    return Place(device, {"float32": torch.float32, "bfloat16": torch.bfloat16}[chosen])


def connect(settings: Settings) -> "redis.Redis":
    """A connection that decodes text; the client is shared by nobody else."""
    return redis.Redis.from_url(
        settings.redis_address,
        decode_responses=True,
        encoding_errors="replace",
        socket_timeout=REDIS_TIMEOUT,
    )


def wait_for_redis(connection: "redis.Redis") -> None:
    """Start only when the server answers; say so once while it does not."""
    told = False
    while True:
        try:
            connection.ping()
            return
        except (redis.ConnectionError, redis.TimeoutError):
            if not told:
                logger.warning("waiting for redis")
                told = True
            time.sleep(0.2)


def main() -> int:
    lifeline.watch()
    settings = Settings()
    log.configure(settings.log_level)
    logging.getLogger("rq").setLevel(logging.WARNING)
    threads = settings.threads or max(1, (os.cpu_count() or 1) // max(1, settings.workers))
    torch.set_num_threads(threads)
    wait_for_redis(connect(settings))

    name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    place, bell, store = place_of(settings), Doorbell(), Store.open(settings.store_address)
    delivery = Delivery(Desk(connect(settings), name, settings), store, rq_stamp, bell.ring)
    host = Host(Shelf(settings.checkpoints), place, settings.model_memory, bell.ring)
    desk = Desk(connect(settings), name, settings)
    floor = Floor(desk, host, Engine(place.device), delivery, bell, settings)
    raw = redis.Redis.from_url(settings.redis_address)
    worker = BatchWorker(name, raw, connect(settings), floor, delivery, settings)

    stop = threading.Event()
    pulse = Pulse(Desk(connect(settings), name, settings), floor, worker.heartbeat, settings)
    keeper = Housekeeper(Desk(connect(settings), name, settings), store)
    delivery.start()
    every(settings.heartbeat, pulse.beat, stop)
    every(settings.sweep_interval, keeper.clean, stop)
    logger.info("worker ready", extra={"worker": name, "device": str(place.device)})
    worker.work(logging_level="WARNING")
    stop.set()
    floor.close()
    desk.resign()
    return 0


if __name__ == "__main__":
    sys.exit(main())
