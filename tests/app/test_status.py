"""/status: who works, what waits, and what was done in the last hour."""

import hashlib
import json
import time
from pathlib import Path

import httpx
import redis

from app.core.settings import Settings
from app.core.version import VERSION
from tests.app.queue.test_jobs import make
from tests.app.serving import Running, serving
from tests.app.working import Worker
from tests.conftest import MODEL


def test_it_shows_workers_and_their_models(running: Running, worker: Worker) -> None:
    sha256 = running.services.catalog.find(MODEL).sha256
    ready = {"state": "ready", "determinism": "bitwise", "bytes": 5}
    models = {sha256: ready, "ab" * 32: {"state": "loading", "bytes": 7}, "cd" * 32: ready}
    facts = {"device": "cpu", "since": 1790000000, "capacity": 32, "in_flight": 3}
    facts |= {"memory_limit": 100, "models": models, "pid": 1, "host": "secret", "new": 1}
    Worker(worker.connection, "secret-host-12-b0").lease()
    Worker(worker.connection, "a0").lease()
    worker.connection.set("atelier:lease:secret-host-12-b0", json.dumps(facts))
    answer = running.client.get("/status")
    status = answer.json()
    assert (status["object"], status["version"], status["in_flight"]) == ("status", VERSION, 6)
    older, newer = status["workers"]
    assert (older["name"], older["device"], older["memory_bytes"]) == ("worker-a0", "", 0)
    assert newer == {
        "name": "worker-b0",
        "device": "cpu",
        "in_flight": 3,
        "capacity": 32,
        "models": [MODEL],
        "memory_bytes": 17,
        "memory_limit": 100,
        "since": 1790000000,
        "ready": True,
    }
    assert "secret" not in answer.text
    unsized = facts | {"models": {sha256: {"state": "ready"}}, "store_problem": "/secret is full"}
    worker.connection.set("atelier:lease:secret-host-12-b0", json.dumps(unsized))
    answer = running.client.get("/status")
    newer = answer.json()["workers"][1]
    assert (newer["memory_bytes"], newer["ready"]) == (None, False)
    assert "secret" not in answer.text


def test_it_counts_the_ends_of_every_kind(api: httpx.Client, worker: Worker) -> None:
    """By the worker, by a cancel, by a deadline in the queue, and by a worker that died twice."""
    completed, failed, canceled, *_ = make(api, 3)
    make(api, 1)
    before = time.time()
    assert len(worker.claim()) == 4
    worker.finish(completed)
    worker.finish(failed, "failed")
    api.post(f"/jobs/{canceled}/cancel")
    worker.finish(canceled)
    (late,) = make(api, 1)
    (waits,) = make(api, 1)
    worker.connection.hset(f"rq:job:{late}", "deadline", "1")
    worker.sweep()
    assert api.post(f"/jobs/{waits}/cancel").json()["status"] == "canceled"
    status = api.get("/status").json()
    minutes = status["finished"]
    assert sum(minute["completed"] for minute in minutes) == 1
    assert sum(minute["failed"] for minute in minutes) == 2
    assert len(minutes) == 60
    starts = [minute["minute"] for minute in minutes]
    assert starts == list(range(starts[0], starts[0] + 3600, 60))
    assert starts[-1] % 60 == 0
    assert before - 60 < starts[-1] <= time.time()
    assert status["waiting"] == {MODEL: 0}
    keys = worker.connection.keys("atelier:ended:*")
    assert all(3600 < worker.connection.ttl(key) <= 3700 for key in keys)


def test_an_hour_is_all_that_is_shown(api: httpx.Client, connection: "redis.Redis") -> None:
    now = int(connection.time()[0]) // 60 * 60
    for age, count in ((0, 1), (59, 2), (60, 4)):
        connection.hset(f"atelier:ended:{now - 60 * age}", mapping={"completed": count})
    connection.set(f"atelier:ended:{now - 60}", "no hash")  # set aside
    counts = [minute["completed"] for minute in api.get("/status").json()["finished"]]
    assert sum(counts) in (1, 3)  # a minute may have passed
    assert 1 in counts


def test_everybodys_figures_need_the_scope(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    ann, bob = (hashlib.sha256(name.encode()).hexdigest() for name in ("ann", "bob"))
    file.write_text(f"ann {ann} metrics\nbob {bob}\n")
    with serving(settings.model_copy(update={"keys_file": file})) as running:
        Worker(running.services.queue.blocking).lease()
        assert running.client.get("/status").status_code == 401
        with running.as_key("ann") as reader, running.as_key("bob") as other:
            assert reader.get("/status").json()["in_flight"] == 3
            status = other.get("/status").json()
    assert [status[x] for x in ("waiting", "in_flight", "finished")] == [None, None, None]
    (worker,) = status["workers"]
    assert (worker["name"], worker["capacity"], worker["in_flight"]) == ("worker-w1", 32, None)
