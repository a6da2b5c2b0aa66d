"""Jobs for a model that is still being imported: they wait, then run, or fail with the reason."""

import shutil
import time
from dataclasses import replace

import pytest

import workers.worker
from app.core.imports import IMPORTING, Imports, ImportStatus
from models.checkpoint.header import read_header
from tests.workers.conftest import Bench

MODEL = "late"


@pytest.fixture
def imports(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Imports:
    """The imports of a service that has begun one, and looks at them all the time."""
    monkeypatch.setattr("app.core.imports.READ_EVERY", 0.0)
    monkeypatch.setattr(workers.worker, "IDLE_SECONDS", 0.02)
    imports = Imports(bench.settings.state)
    imports.write(MODEL, status_of(bench))
    return imports


def status_of(bench: Bench, **changes: object) -> ImportStatus:
    header = read_header(bench.settings.checkpoints / "tiny-vae.safetensors")
    return ImportStatus(header=header).model_copy(update=changes)


def submit(bench: Bench, seed: int) -> str:
    new = replace(bench.new(seed), model=MODEL, sha256=IMPORTING)
    return bench.jobs.submit(new).job.id


def arrive(bench: Bench) -> None:
    """The import ends: its checkpoint is there."""
    folder = bench.settings.checkpoints
    draft = shutil.copy(folder / "tiny-vae.safetensors", folder / ".late")
    folder.joinpath(draft).rename(folder / f"{MODEL}.safetensors")


@pytest.mark.slow
def test_jobs_wait_for_an_import_and_then_run(bench: Bench, imports: Imports) -> None:
    early = [submit(bench, seed) for seed in range(3)]
    bench.worker()
    other = bench.submit(seed=7)
    assert bench.wait(other).status == "completed"
    assert [bench.fetch(job).status for job in early] == ["queued"] * 3
    arrive(bench)
    imports.write(MODEL, status_of(bench, progress=1.0))
    assert [bench.wait(job).status for job in early] == ["completed"] * 3
    late = submit(bench, 9)  # of an API that has not seen the import's end yet
    assert bench.wait(late).status == "completed"


def test_a_job_that_waited_gives_the_same_bytes_as_one_that_did_not(
    bench: Bench, imports: Imports
) -> None:
    early = submit(bench, 5)
    arrive(bench)
    bench.worker()
    pinned = bench.submit(seed=5, model=MODEL)
    ended = [bench.wait(job) for job in (early, pinned)]
    assert [job.status for job in ended] == ["completed"] * 2
    assert ended[0].outputs[0].sha256 == ended[1].outputs[0].sha256


def test_jobs_outlive_a_restart_after_the_import(bench: Bench, imports: Imports) -> None:
    early = submit(bench, 1)
    imports.write(MODEL, status_of(bench, progress=1.0))
    arrive(bench)
    bench.worker()
    assert bench.wait(early).status == "completed"


def test_jobs_fail_with_the_reason_if_the_import_does(bench: Bench, imports: Imports) -> None:
    early = submit(bench, 1)
    bench.worker()
    imports.write(MODEL, status_of(bench, error="late.gguf can't be read"))
    job = bench.wait(early)
    assert job.status == "failed"
    assert job.error is not None
    assert "its import failed: late.gguf can't be read" in job.error.message


def test_a_status_that_can_not_be_read_is_passed_over(
    bench: Bench, imports: Imports, caplog: pytest.LogCaptureFixture
) -> None:
    (bench.settings.state / "imports" / "broken.json").write_text("{")
    assert list(imports.read()) == [MODEL]
    assert "broken.json can't be read" in caplog.text


def test_a_status_is_read_once_a_second_at_most(
    bench: Bench, imports: Imports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.core.imports.READ_EVERY", 1000.0)
    reader = Imports(bench.settings.state)
    first = reader.read()
    imports.write(MODEL, status_of(bench, progress=0.5))
    assert reader.read() is first
    monkeypatch.setattr("app.core.imports.time.monotonic", lambda: time.perf_counter() + 10_000)
    assert reader.read()[MODEL].progress == 0.5
