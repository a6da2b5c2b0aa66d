"""Models come and go under a budget: every job has its turn, and no file is trusted to stay."""

import io
import json
import shutil
import threading
import time
from typing import Any

import pytest
import torch
from PIL import Image as Picture

import workers.model_cache
import workers.worker
from models.artifacts import Image
from models.engine.batching import Placement
from models.engine.flow import Inputs, Step
from models.engine.noise import seeded
from models.image.vae import VAE
from models.params.base import VAEParams
from models.registry import CheckpointEntry, CheckpointRegistry
from tests.workers.conftest import Bench
from workers.model_cache import Loaded, ModelCache, loaded_bytes

CPU = Placement(torch.device("cpu"))


def budget_for_one(bench: Bench) -> int:
    return max(
        loaded_bytes(e, CPU)
        for e in CheckpointRegistry(bench.settings.checkpoints).entries().values()
    )


@pytest.mark.slow
def test_models_whose_loading_takes_long_take_turns_under_a_budget_for_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    build, loads = ModelCache._build, []

    def slowly(self: ModelCache, entry: CheckpointEntry, need: int) -> Loaded:
        loads.append(entry.id)
        time.sleep(0.4)
        return build(self, entry, need)

    monkeypatch.setattr(ModelCache, "_build", slowly)
    monkeypatch.setattr(workers.worker, "IDLE_SECONDS", 0.05)  # looks while a model loads
    bench.worker(model_memory=budget_for_one(bench), max_affinity_wait=0.0)
    ids = [bench.submit(i, model=("tiny-vae", "tiny-gan")[i % 2]) for i in range(4)]
    for i in ids:
        assert bench.wait(i).status == "completed"
    assert len(loads) <= len(ids)


def test_a_model_that_can_not_be_weighed_is_refused_and_not_the_workers_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def weighed(entry: CheckpointEntry, placement: Placement) -> int:
        if entry.id == "tiny-gan":
            raise KeyError("context")
        return loaded_bytes(entry, placement)

    monkeypatch.setattr(workers.model_cache, "loaded_bytes", weighed)
    bench.worker()
    bad, good = bench.submit(1, model="tiny-gan"), bench.submit(1, model="tiny-vae")
    failed = bench.wait(bad, 20)
    assert failed.error is not None
    assert failed.status == "failed"
    assert failed.error.message.startswith("the model could not be loaded: its header is not")
    assert bench.wait(good, 20).status == "completed"


@pytest.mark.slow
def test_a_model_waits_for_its_turn_while_another_is_on_its_way(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, rung, build = threading.Event(), threading.Event(), ModelCache._build

    def gated(self: ModelCache, entry: CheckpointEntry, need: int) -> Loaded:
        go_on.wait(20)
        return build(self, entry, need)

    monkeypatch.setattr(ModelCache, "_build", gated)
    registry = CheckpointRegistry(bench.settings.checkpoints)
    vae, dcgan = (registry.entries()[i] for i in ("tiny-vae", "tiny-gan"))
    cache = ModelCache(registry, CPU, budget_for_one(bench), rung.set)
    assert cache.want(vae, ()) == set()
    assert cache.want(dcgan, ()) == set()  # nothing in memory has to stop for it
    assert cache.loading.keys() == {vae.sha256}
    go_on.set()
    assert rung.wait(20)
    assert [m.entry for m in cache.collect()] == [vae]
    cache.want(dcgan, ())
    assert cache.loading.keys() == {dcgan.sha256}
    cache.close()


@pytest.mark.slow
def test_a_model_that_waits_gets_its_turn_though_the_floor_is_full(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    gates = {seeded(i).initial_seed(): threading.Event() for i in range(7)}

    async def story(self: VAE, params: VAEParams, rng: torch.Generator, inputs: Inputs) -> Any:
        gate, z = gates[rng.initial_seed()], torch.zeros(8)
        for step in range(10**6):
            time.sleep(0.002)
            x = await Step(self.decode, (z,), progress=(min(step, 999), 1000))
            if gate.is_set():
                break
        return (Image(x),)

    monkeypatch.setattr(VAE, "generate", story)
    bench.worker(model_memory=budget_for_one(bench), capacity=2, max_affinity_wait=0.0)
    first = [bench.submit(i) for i in range(2)]
    bench.until(lambda: all(bench.fetch(i).progress.step > 0 for i in first))
    waiting = bench.submit(99, model="tiny-gan")
    later = [bench.submit(i) for i in range(2, 7)]
    gates[seeded(0).initial_seed()].set()
    bench.until(lambda: bench.fetch(later[0]).progress.step > 50)  # the loop is full, and looks
    for i in (1, 2):
        gates[seeded(i).initial_seed()].set()
    assert bench.wait(waiting, 8).status == "completed"
    for gate in gates.values():
        gate.set()
    for i in later:
        assert bench.wait(i).status == "completed"


def test_a_checkpoint_that_vanishes_before_it_is_loaded_is_refused(bench: Bench) -> None:
    rung, registry = threading.Event(), CheckpointRegistry(bench.settings.checkpoints)
    entry = registry.entries()["tiny-vae"]
    cache = ModelCache(registry, CPU, 2**30, rung.set)
    entry.path.unlink()
    assert cache.want(entry, ()) == set()
    assert rung.wait(20)
    assert cache.collect() == []
    assert cache.refused.keys() == {entry.sha256}
    cache.close()


@pytest.mark.slow
def test_the_same_bytes_under_two_ids_serve_both(bench: Bench) -> None:
    folder = bench.settings.checkpoints
    shutil.copy(folder / "tiny-vae.safetensors", folder / "copy-vae.safetensors")
    bench.worker()
    for model in ("tiny-vae", "copy-vae", "tiny-vae"):
        job = bench.wait(bench.submit(model=model), 8)
        picture = Picture.open(io.BytesIO(bench.store.get(job.outputs[0].sha256)))
        assert json.loads(picture.info["atelier"])["model"] == model


@pytest.mark.slow
def test_no_more_items_run_at_once_than_their_memory_allows(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, peak = [0], [0]

    async def story(self: VAE, params: VAEParams, rng: torch.Generator, inputs: Inputs) -> Any:
        running[0] += 1
        peak[0] = max(peak[0], running[0])
        for step in range(20):  # long enough that the next item comes meanwhile
            x = await Step(self.decode, (torch.zeros(8),), progress=(step + 1, 20))
        running[0] -= 1
        return (Image(x),)

    monkeypatch.setattr(VAE, "generate", story)
    bench.worker(run_memory=2 * VAE.item_bytes)
    for job in [bench.submit(n=9), bench.submit(n=9)]:
        assert len(bench.wait(job).outputs) == 9
    assert peak == [2]


@pytest.mark.slow
def test_an_item_larger_than_the_memory_runs_alone(bench: Bench) -> None:
    bench.worker(run_memory=1)
    assert len(bench.wait(bench.submit(n=3)).outputs) == 3


@pytest.mark.parametrize(("failures", "status"), [(2, "completed"), (100, "failed")])
def test_a_load_that_fails_for_no_fault_of_the_file_is_tried_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, failures: int, status: str
) -> None:
    build, tries = ModelCache._build, [0]

    def flaky(self: ModelCache, entry: CheckpointEntry, need: int) -> Loaded:
        tries[0] += 1
        if tries[0] <= failures:
            raise RuntimeError("out of memory, just now")
        return build(self, entry, need)

    monkeypatch.setattr(ModelCache, "_build", flaky)
    monkeypatch.setattr(workers.model_cache, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(workers.worker, "IDLE_SECONDS", 0.02)
    bench.worker()
    job = bench.wait(bench.submit())
    assert job.status == status
    assert tries[0] >= 3
