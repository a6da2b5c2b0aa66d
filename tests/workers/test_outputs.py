"""What a job has made, as its record and its events tell it: pictures, sheets, animations."""

import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture

from tests.models.families import tiny_checkpoint
from tests.workers.conftest import Bench

GAP = 2


def picture_of(bench: Bench, sha256: str) -> Picture.Image:
    return Picture.open(io.BytesIO(bench.store.get(sha256)))


def events_of(bench: Bench, job: str, name: str) -> list[dict[str, Any]]:
    entries = bench.redis.xrange(f"atelier:events:{job}")
    return [json.loads(e["data"]) for _, e in entries if e["event"] == name]


@pytest.mark.parametrize("output_format", ["png", "webp", "jpeg"])
def test_a_walk_makes_a_sheet_and_an_animation(bench: Bench, output_format: str) -> None:
    bench.worker()
    walk = {"to_seed": 4, "frames": 5}
    job = bench.wait(bench.submit(3, n=2, interpolate=walk, output_format=output_format))
    roles = [(o.index, o.role, o.content_type, o.frames) for o in job.outputs]
    kind = f"image/{output_format}"
    assert roles == [
        (0, "sheet", kind, None),
        (0, "animation", "image/webp", 5),
        (1, "sheet", kind, None),
        (1, "animation", "image/webp", 5),
    ]
    events = sorted(
        events_of(bench, job.id, "output"), key=lambda o: o["index"]
    )  # items end in any order
    assert [o["sha256"] for o in events] == [o.sha256 for o in job.outputs]
    again = bench.wait(bench.submit(3, n=2, interpolate=walk, output_format=output_format))
    assert [o.sha256 for o in again.outputs] == [o.sha256 for o in job.outputs]


def test_a_grid_shows_every_picture_in_order(bench: Bench) -> None:
    bench.worker()
    job = bench.wait(bench.submit(7, n=5, grid=True))
    *pictures, sheet = job.outputs
    assert [(o.index, o.role) for o in pictures] == [(i, "picture") for i in range(5)]
    assert (sheet.index, sheet.role, sheet.seed) == (5, "sheet", 7)
    assert (sheet.width, sheet.height) == (3 * 28 + 2 * GAP, 2 * 28 + GAP)
    laid_out = np.asarray(picture_of(bench, sheet.sha256))
    for position, output in enumerate(pictures):
        top, left = position // 3 * (28 + GAP), position % 3 * (28 + GAP)
        single = np.asarray(picture_of(bench, output.sha256))
        np.testing.assert_array_equal(laid_out[top : top + 28, left : left + 28], single)
    facts = json.loads(picture_of(bench, sheet.sha256).info["atelier"])
    assert (facts["n"], facts["grid"], facts["seed"]) == (5, True, 7)
    alone = bench.wait(bench.submit(7, n=5))
    assert [o.sha256 for o in alone.outputs] == [o.sha256 for o in pictures]
    assert [e["index"] for e in events_of(bench, job.id, "output")][-1] == 5


def test_a_grid_of_one_is_a_picture_and_a_sheet(bench: Bench) -> None:
    bench.worker()
    job = bench.wait(bench.submit(7, grid=True, output_format="jpeg"))
    assert [(o.index, o.role) for o in job.outputs] == [(0, "picture"), (1, "sheet")]


def test_a_sheet_that_can_not_be_stored_fails_its_job(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.core.store import FileTooLarge, Store

    put = Store.put

    def picky(self: Store, data: bytes) -> str:
        if b'"grid": true' in data:
            raise FileTooLarge("the file is too large for the artifact store")
        return put(self, data)

    monkeypatch.setattr(Store, "put", picky)
    bench.worker()
    job = bench.wait(bench.submit(n=2, grid=True))
    assert job.status == "failed"
    assert job.error is not None
    assert job.error.message == "the result could not be stored"
    assert [o.role for o in job.outputs] == ["picture", "picture"]


@pytest.fixture
def steps(bench: Bench) -> Bench:
    """With a model that takes as many steps as it is told."""
    tiny_checkpoint(bench.settings.checkpoints, "diffusion")
    return bench


@pytest.mark.slow
def test_the_steps_of_a_job_are_told_with_pictures_on_the_way(steps: Bench) -> None:
    asked = {"steps": 150, "class_label": "bag", "guidance_scale": 2.0}
    posted = steps.submit(model="tiny-diffusion", n=2, **asked)
    steps.follow(posted)
    steps.worker(preview_interval=0.01)
    job = steps.wait(posted, 60)
    assert job.status == "completed"
    assert (job.progress.step, job.progress.steps) == (300, 300)
    values = [e["value"] for e in events_of(steps, job.id, "progress")]
    assert values == sorted(values)
    assert len(values) > 3
    previews = events_of(steps, job.id, "preview")
    assert previews
    assert all(p["url"].startswith("data:image/png;base64,") for p in previews)


@pytest.mark.slow
def test_a_job_of_many_steps_is_canceled_between_two_of_them(steps: Bench) -> None:
    steps.worker(preview_interval=0.01)
    job = steps.submit(model="tiny-diffusion", steps=1000, n=8)
    steps.until(lambda: steps.fetch(job).progress.step > 5)
    steps.jobs.cancel("local", job)
    ended = steps.wait(job, 5)
    assert ended.status == "canceled"
    assert ended.progress.step < 8000
