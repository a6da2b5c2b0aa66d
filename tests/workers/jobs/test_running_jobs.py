"""Jobs in flight: what is admitted together, and what comes of their items. No Redis here."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from app.core.settings import Settings
from models.artifacts import Frames, Image
from models.engine.determinism import DeterminismReport
from models.engine.engine import Engine
from models.engine.flow import NOTHING, run_alone
from models.engine.noise import seeded
from models.image.vae import VAE
from models.params.base import VAEParams, item_seed
from models.registry import CheckpointRegistry
from tests.conftest import save_vae
from tests.models.families import load_family, tiny_checkpoint
from workers.encoders.types import Sheet
from workers.jobs.messages import ItemDone, JobDone, JobProgress, Message
from workers.jobs.running_jobs import RunningJobs
from workers.model_cache import Loaded
from workers.queue_client import Claim

ITEM = VAE.item_bytes


class Floor:
    """An engine and the jobs on it, with one model, stepped by hand."""

    def __init__(self, path: Path, **settings: Any) -> None:
        entry = CheckpointRegistry(path.parent).entries()[path.stem]
        self.model = Loaded(entry, load_family(path), DeterminismReport("bitwise", {}), 0, 0.0)
        self.engine = Engine(torch.device("cpu"), clock=lambda: 0.0)  # turns by no chance
        self.sent: list[Message] = []
        self.runs = RunningJobs(self.engine, Settings(**settings), self.sent.append)

    def submit(
        self,
        job: str,
        n: int = 1,
        seed: int = 7,
        followed: bool = True,
        owner: str = "local",
        **params: Any,
    ) -> Claim:
        asked = {"n": n, "seed": seed, "output_format": "png", **params}
        record = {"input": json.dumps(asked), "items": str(n), "seed": str(seed), "attempt": "1"}
        record |= {"owner": owner} | ({"followed": "1"} if followed else {})
        claim = Claim(job, f"{job}-1", record | {"model": self.model.entry.id})
        self.runs.start(claim, self.model)
        self.runs.admit()
        return claim

    def active(self) -> dict[str, int]:
        """Items in the engine, by job."""
        return {claim.job: len(self.runs._runs[claim.job].active) for claim in self.runs.claims}

    def run(self) -> None:
        while self.runs.running:
            self.runs.sort(self.engine.tick())
            self.runs.admit()

    def items_done(self) -> list[ItemDone]:
        return [m for m in self.sent if isinstance(m, ItemDone)]


def walk(frames: int) -> dict[str, Any]:
    return {"interpolate": {"to_seed": 8, "frames": frames}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tiny_checkpoint(tmp_path, "vae")


def test_a_walk_weighs_as_many_rows_as_it_has_frames(path: Path) -> None:
    loop = Floor(path, capacity=16)
    for job in "abcd":
        loop.submit(job, **walk(6))
    assert loop.active() == {"a": 1, "b": 1, "c": 0, "d": 0}
    assert loop.runs.rows_taken() == 24
    loop.run()
    assert [m.claim.job for m in loop.items_done()] == ["a", "b", "c", "d"]


def test_a_walk_longer_than_half_of_all_lets_others_by(path: Path) -> None:
    loop = Floor(path, capacity=8)
    loop.submit("long", **walk(64))
    loop.submit("short", n=2)
    assert loop.active() == {"long": 1, "short": 2}


def test_a_job_of_many_items_lets_others_by(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = Floor(path, capacity=16)
    loop.submit("many", n=64)
    assert loop.runs.rows_taken() == 12, "so that the worker asks for other jobs as well"
    loop.submit("short", n=2)
    assert loop.active() == {"many": 12, "short": 2}
    assert loop.runs.items == 14
    loop.run()
    assert {m.claim.job for m in loop.items_done()[12:16]} >= {"short"}
    assert len(loop.items_done()) == 66
    monkeypatch.setattr(VAE, "max_items", 4)  # as of a language model with four slots
    loop.submit("stories", n=9)
    assert loop.runs.items_of(loop.model.entry.sha256) == 3
    loop.submit("chat")
    assert loop.active() == {"many": 0, "short": 0, "stories": 3, "chat": 1}


@pytest.mark.parametrize(("seats", "most"), [(1, 1), (2, 1), (3, 2), (4, 3), (11, 9)])
def test_a_job_alone_has_most_of_a_model(
    path: Path, seats: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VAE, "max_items", seats)
    loop = Floor(path)
    loop.submit("many", n=64)
    assert loop.active() == {"many": most}


def test_a_job_leaves_rows_and_memory_to_others(path: Path) -> None:
    loop = Floor(path, capacity=32)
    loop.submit("walks", n=3, **walk(16))
    loop.submit("short", n=2)
    assert loop.active() == {"walks": 1, "short": 2}
    tight = Floor(path, run_memory=8 * ITEM)
    tight.submit("many", n=16)
    assert tight.runs.bytes_taken() == 6 * ITEM
    tight.submit("short", n=2)
    assert tight.active() == {"many": 6, "short": 2}


def test_a_job_that_has_nothing_yet_goes_before_the_next_item_of_another(path: Path) -> None:
    loop = Floor(path, capacity=16)
    loop.submit("many", n=64)
    loop.submit("walk", **walk(8))
    assert loop.active() == {"many": 12, "walk": 0}
    loop.run()
    jobs = [m.claim.job for m in loop.items_done()]
    assert jobs.index("walk") < 12 + 12, "as soon as the first of them are done"


def test_a_walk_takes_the_memory_of_its_frames(path: Path) -> None:
    loop = Floor(path, run_memory=12 * ITEM)
    for job in "ab":
        loop.submit(job, **walk(8))
    assert loop.active() == {"a": 1, "b": 0}
    assert loop.runs.bytes_taken() == 16 * ITEM
    loop.run()
    assert loop.runs.bytes_taken() == 0


def test_small_items_do_not_starve_a_large_one(path: Path) -> None:
    loop = Floor(path, capacity=8)
    loop.submit("first", n=6)
    loop.submit("large", **walk(4))
    loop.submit("later", n=4)
    assert loop.active() == {"first": 6, "large": 0, "later": 0}
    loop.run()
    assert {m.claim.job for m in loop.items_done()[:7]} == {"first", "large"}


def test_a_job_waits_for_its_files_and_holds_up_nobody(path: Path) -> None:
    loop = Floor(path)
    waiting = loop.submit("waiting", init_image="ab" * 32)
    loop.submit("other")
    assert loop.active() == {"waiting": 0, "other": 1}
    picture = Image(torch.zeros(3, 100, 100))
    stale = Claim("waiting", "another execution", waiting.record)
    loop.runs.supply(stale, {"init_image": picture})
    loop.runs.admit()
    assert loop.active()["waiting"] == 0
    loop.runs.supply(waiting, {"init_image": picture})
    loop.runs.admit()
    assert loop.active()["waiting"] == 1
    assert loop.runs.bytes_taken() == 2 * ITEM + picture.pixels.nbytes
    loop.run()
    assert {m.claim.job for m in loop.items_done()} == {"waiting", "other"}


def test_files_that_come_too_late_change_nothing(path: Path) -> None:
    loop = Floor(path)
    claim = loop.submit("gone", init_image="ab" * 32)
    loop.runs.end("gone", "canceled")
    loop.runs.supply(claim, {})
    loop.runs.admit()
    assert loop.active() == {"gone": 0}
    assert [type(m) for m in loop.sent] == [JobDone]
    loop.runs.drop("gone", claim.execution)
    loop.runs.supply(claim, ValueError("too late"))
    assert len(loop.sent) == 1


def test_a_grid_is_one_more_output_of_all_pictures_in_order(path: Path) -> None:
    loop = Floor(path, capacity=2)
    loop.submit("job", n=5, grid=True)
    loop.run()
    *items, sheet = loop.items_done()
    assert [m.index for m in items] == [0, 1, 2, 3, 4]
    assert sheet.index == 5
    (laid_out,) = sheet.artifacts
    assert isinstance(laid_out, Sheet)
    assert [(p,) for p in laid_out.pictures] == [m.artifacts for m in items]
    assert (sheet.facts.seed, sheet.facts.n, sheet.facts.grid) == (7, 5, True)
    assert [m.facts.seed for m in items] == [item_seed(7, i) for i in range(5)]
    assert all(m.facts.n is None for m in items)
    assert isinstance(loop.sent[-1], JobDone)


def test_a_grid_with_an_item_that_fails_is_not_made(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = Floor(path, capacity=1)
    generate = VAE.generate

    async def fragile(self: VAE, params: VAEParams, rng: torch.Generator, inputs: Any) -> Any:
        if rng.initial_seed() == seeded(item_seed(7, 1)).initial_seed():
            raise RuntimeError("no luck")
        return await generate(self, params, rng, inputs)

    monkeypatch.setattr(VAE, "generate", fragile)
    loop.submit("job", n=3, grid=True)
    loop.run()
    assert [m.index for m in loop.items_done()] == [0]
    (end,) = (m for m in loop.sent if isinstance(m, JobDone))
    assert end.outcome == "failed"


def test_each_item_of_a_walk_starts_from_its_own_seed(path: Path) -> None:
    loop = Floor(path)
    loop.submit("job", n=2, **walk(3))
    loop.run()
    family = load_family(path)
    for item in sorted(loop.items_done(), key=lambda m: m.index):
        (frames,) = item.artifacts
        assert isinstance(frames, Frames)
        (alone,) = run_alone(family.generate(VAEParams(), seeded(item.facts.seed), NOTHING))
        assert torch.equal(frames.pixels[0], alone.pixels)


def test_what_made_a_file_is_told_in_params_that_its_model_takes(tmp_path: Path) -> None:
    loop = Floor(save_vae(tmp_path / "plain.safetensors"))
    loop.submit("job")
    loop.run()
    (item,) = loop.items_done()
    assert set(item.facts.params) == {"interpolate", "init_image", "strength", "temperature"}


@pytest.fixture
def steps(tmp_path: Path) -> Floor:
    """A model of many steps, whose every note and preview is sent."""
    path = tiny_checkpoint(tmp_path, "diffusion")
    return Floor(path, preview_interval=1e-9, capacity=4)


def test_progress_of_many_steps_rises_over_all_items(
    steps: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.jobs.item_reporter.PROGRESS_SECONDS", 0)
    steps.submit("job", n=3, steps=6, sampler="heun", class_label="bag", guidance_scale=3.0)
    steps.run()
    sent = [m for m in steps.sent if isinstance(m, JobProgress)]
    assert all(m.steps == 3 * 11 for m in sent)
    done = [m.done for m in sent]
    assert done == sorted(done)
    assert len(set(done)) > 20
    assert steps.items_done()[-1].done == 33


def test_previews_are_pictures_on_the_way(steps: Floor) -> None:
    steps.submit("job", steps=6)
    steps.submit("walk", steps=4, **walk(3))
    steps.run()
    shown = [m.preview for m in steps.sent if isinstance(m, JobProgress) and m.preview]
    assert {index for index, _ in shown} == {0}
    assert all(isinstance(artifact, Image) for _, artifact in shown)
    assert len(shown) >= 4 + 2


def test_a_preview_is_rendered_only_for_a_job_that_someone_follows(steps: Floor) -> None:
    steps.submit("alone", steps=6, followed=False)
    steps.run()
    assert not any(m.preview for m in steps.sent if isinstance(m, JobProgress))
    steps.submit("joined", steps=6, followed=False)
    steps.runs.follow({"joined", "another"})
    steps.run()
    assert any(m.preview for m in steps.sent if isinstance(m, JobProgress))
    steps.sent.clear()
    steps.submit("left", steps=6)
    steps.runs.follow(())
    steps.run()
    assert not any(m.preview for m in steps.sent if isinstance(m, JobProgress))


def test_rows_of_a_flow_that_overtake_each_other_take_nothing_back(steps: Floor) -> None:
    steps.submit("job", steps=6)
    run = steps.runs._runs["job"]
    for progress, expected in (((2, 8), 2), ((1, 8), 2), ((1, 2), 1), ((3, 8), 1), ((5, 8), 5)):
        run.note(0, progress)
        assert run.totals()[0] == expected


@pytest.mark.parametrize("shared", [False, True])
def test_an_owner_of_many_jobs_lets_others_by(
    path: Path, monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    monkeypatch.setattr(VAE, "max_items", 8)  # as of a language model with eight slots
    loop = Floor(path, capacity=32)
    loop.runs.shares.shared = shared
    for job in "abcdef":
        loop.submit(job, n=64, owner="greedy")
    assert sum(loop.active().values()) == (6 if shared else 8)
    assert loop.runs.items_of(loop.model.entry.sha256) == 6 or not shared
    left = loop.runs.share_of_model(loop.model).left
    assert left["greedy"] <= 0
    loop.submit("short", owner="other")
    assert loop.active()["short"] == (1 if shared else 0)


def test_who_has_more_than_its_share_begins_nothing_until_others_have_theirs(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VAE, "max_items", 8)
    loop = Floor(path, capacity=32)
    for job in "ab":
        loop.submit(job, n=64, owner="greedy")
    assert sum(loop.active().values()) == 8, "nobody else was there when they began"
    loop.runs.shares.shared = True
    assert loop.runs.items_of(loop.model.entry.sha256) == 8
    loop.runs.sort(loop.engine.tick())
    while sum(loop.active().values()) == 8:
        loop.runs.sort(loop.engine.tick())
    loop.runs.admit()
    assert loop.runs.items_of(loop.model.entry.sha256) < 8, "a seat is free for others"
    loop.submit("short", owner="other")
    assert loop.active()["short"] == 1


def test_a_prompt_that_another_owner_sent_is_read_again(tmp_path: Path) -> None:
    """How soon its answer came would tell an owner what another has asked."""
    loop = Floor(tiny_checkpoint(tmp_path, "language"))
    request = {"kind": "completion", "text": "the hen " * 20, "max_tokens": 1}

    def steps(job: str, owner: str) -> int:
        loop.submit(job, owner=owner, output_format="txt", **request)
        ticks = 0
        while loop.runs.running:
            loop.runs.sort(loop.engine.tick())
            ticks += 1
        return ticks

    afresh, again, other = steps("a", "ann"), steps("b", "ann"), steps("c", "bob")
    assert again == 1
    assert other == afresh > 1
