"""Models are loaded and unloaded as the API is asked, by workers whose memory is limited."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from app.queue.worker_leases import HeldModel, Lease, memory_of, model_state
from tests.app.serving import Running, serving
from tests.workers.conftest import Bench
from tests.workers.test_models_in_memory import budget_for_one
from workers.model_cache import ModelCache

VAE, GAN = "tiny-vae", "tiny-gan"


@pytest.fixture
def api(bench: Bench) -> Iterator[Running]:
    with serving(bench.settings) as running:
        yield running


def order(api: Running, model: str, verb: str) -> dict[str, Any]:
    answer = api.client.post(f"/models/{model}/{verb}")
    assert answer.status_code == 202, answer.text
    return answer.json()


def state(api: Running, model: str) -> str:
    return str(api.client.get(f"/models/{model}").json()["state"])


def loaded(api: Running, bench: Bench, model: str, verb: str = "load") -> dict[str, Any]:
    """The card of a model, once it is as it was asked to be."""
    order(api, model, verb)
    wanted = "ready" if verb == "load" else "unloaded"
    bench.until(lambda: state(api, model) == wanted)
    return api.client.get(f"/models/{model}").json()


def ready(api: Running, count: int) -> list[list[str]]:
    """The models of each worker, once so many are alive and read their queues."""
    workers = api.client.get("/status").json()["workers"]
    return [worker["models"] for worker in workers] if len(workers) == count else []


def test_a_model_gives_the_same_bytes_however_often_it_is_loaded(
    bench: Bench, api: Running
) -> None:
    bench.worker(heartbeat=0.9)  # what changes is in the lease before the next sign of life
    bench.until(lambda: ready(api, 1) == [[]])
    bench.until(lambda: bench.redis.exists("rq:workers:model:" + key(bench, VAE)) == 1)
    assert order(api, VAE, "load")["state"] in ("loading", "ready")
    card = loaded(api, bench, VAE)
    assert card["memory_bytes"] == api.client.get("/status").json()["workers"][0]["memory_bytes"]
    assert order(api, VAE, "load")["state"] == "ready"  # nothing to do
    first = bench.wait(bench.submit(7, n=3))
    card = loaded(api, bench, VAE, "unload")
    assert (card["memory_bytes"], ready(api, 1)) == (None, [[]])
    assert order(api, VAE, "unload")["state"] == "unloaded"
    loaded(api, bench, VAE)
    again = bench.wait(bench.submit(7, n=3))
    loaded(api, bench, VAE, "unload")
    last = bench.wait(bench.submit(7, n=3))  # a job loads it again
    hashes = [[output.sha256 for output in job.outputs] for job in (first, again, last)]
    assert hashes[0] == hashes[1] == hashes[2]
    assert len(set(hashes[0])) == 3
    assert not bench.redis.keys("atelier:orders:*")


def key(bench: Bench, model: str) -> str:
    return f"{model}@{bench.sha256(model)[:12]}"


def test_a_model_in_use_is_unloaded_once_its_items_have_ended(
    bench: Bench, api: Running, slow: threading.Event
) -> None:
    process = bench.worker(model_memory=budget_for_one(bench))
    runs = bench.submit(1)
    bench.until(lambda: bench.fetch(runs).progress.step > 0)
    order(api, GAN, "load")
    assert state(api, GAN) == "loading"  # it waits for room
    order(api, VAE, "unload")
    bench.until(lambda: process.loop.orders.leaving == {bench.sha256(VAE)})
    waits = bench.submit(2)
    step = bench.fetch(runs).progress.step
    bench.until(lambda: bench.fetch(runs).progress.step > step + 20)  # the worker looks meanwhile
    assert (bench.fetch(waits).status, state(api, VAE)) == ("queued", "ready")
    slow.set()
    assert bench.wait(runs).status == "completed"
    assert bench.wait(waits).status == "completed"  # it loads the model again
    bench.until(lambda: not bench.redis.keys("atelier:orders:*"))


def test_of_several_workers_the_roomiest_loads_it(bench: Bench, api: Running) -> None:
    budget = budget_for_one(bench)
    for name, memory in (("tight", budget), ("roomy", 3 * budget)):
        bench.worker(name, model_memory=memory)
    bench.until(lambda: bench.redis.scard("rq:workers:model:" + key(bench, VAE)) == 2)
    bench.until(lambda: ready(api, 2) == [[], []])
    loaded(api, bench, VAE)
    assert ready(api, 2) == [[VAE], []]  # "worker-roomy" comes first
    loaded(api, bench, GAN)
    assert ready(api, 2) == [[GAN, VAE], []]
    loaded(api, bench, VAE, "unload")
    assert ready(api, 2) == [[GAN], []]


def test_a_model_that_fails_to_load_is_tried_when_asked_again(
    bench: Bench, api: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    build, tries = ModelCache._build, []

    def flaky(self: ModelCache, *args: Any) -> Any:
        tries.append(1)
        if len(tries) == 1:
            raise RuntimeError("no memory, just now")
        return build(self, *args)

    monkeypatch.setattr(ModelCache, "_build", flaky)
    bench.worker()
    bench.until(lambda: bench.redis.exists("rq:workers:model:" + key(bench, VAE)) == 1)
    bench.until(lambda: ready(api, 1) == [[]])
    order(api, VAE, "load")
    bench.until(lambda: state(api, VAE) == "failed")
    loaded(api, bench, VAE)
    assert len(tries) == 2


HELD = HeldModel(state="ready", determinism="bitwise", bytes=5)


@pytest.mark.parametrize(
    ("lease", "expected", "has"),
    [
        (Lease(), "unloaded", False),
        (Lease(orders={"a": "load"}), "loading", True),
        (Lease(orders={"a": "load"}, models={"a": HeldModel(state="failed")}), "loading", True),
        (Lease(models={"a": HeldModel(state="failed")}), "failed", False),
        (Lease(models={"a": HELD}), "ready", True),
        (Lease(orders={"a": "load"}, models={"a": HELD}), "ready", True),
        (Lease(orders={"a": "unload"}, models={"a": HELD}), "ready", False),
        (Lease(orders={"a": "unload"}), "unloaded", False),
    ],
)
def test_an_order_shows_until_the_lease_does(lease: Lease, expected: str, has: bool) -> None:
    assert (lease.state_of("a"), lease.has("a")) == (expected, has)
    determinism = "bitwise" if expected == "ready" else None
    assert model_state([Lease(), lease], "a") == (expected, determinism)
    assert memory_of([Lease(), lease], "a") == (5 if expected == "ready" else None)
