"""The diffusion family: what shares a batch, guidance, given pictures, walks and previews."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from models.artifacts import Frames, Image
from models.checkpoint.header import CheckpointError
from models.checkpoint.weights import Checkpoint, load, save
from models.diffusion.pixel_diffusion import Diffusion
from models.diffusion.samplers import evaluations
from models.engine.batching import Placement, run_together
from models.engine.determinism import check_determinism
from models.engine.engine import Advanced, Engine, Finished
from models.engine.flow import Flow, resume, run_alone
from models.engine.noise import normal, seeded
from models.params.diffusion import DiffusionParams
from tests.models.families import tiny_checkpoint

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint(tmp_path_factory.mktemp("diffusion"), "diffusion")


@pytest.fixture(scope="module")
def model(path: Path) -> Diffusion:
    built = Diffusion(load(path), Placement(CPU))
    assert (
        check_determinism(built.batched, CPU).determinism == "bitwise"
    )  # as a worker does when it loads
    return built


def pixels_of(model: Diffusion, seed: int = 1, **params: Any) -> Tensor:
    inputs = params.pop("inputs", {})
    flow = model.generate(DiffusionParams.model_validate(params), seeded(seed), inputs)
    (artifact,) = run_alone(flow)
    return artifact.pixels


REQUESTS: list[dict[str, Any]] = [
    {"sampler": "ddim", "steps": 7},
    {"sampler": "ddim", "steps": 9, "eta": 0.5, "class_label": "shoe"},
    {"sampler": "ddpm", "steps": 12, "class_label": "bag", "guidance_scale": 1.0},
    {"sampler": "euler", "steps": 5, "class_label": "shirt", "guidance_scale": 7.0},
    {"sampler": "heun", "steps": 4, "class_label": "shoe", "guidance_scale": 3.0},
    {"sampler": "dpmpp_2m", "steps": 10},
]


def rows_of(request: dict[str, Any], turn: int) -> int:
    """Rows that a request awaits at its so-manieth call of the net: two where it is guided."""
    guided = request.get("class_label") and request.get("guidance_scale") != 1.0
    if turn >= evaluations(request["sampler"], request["steps"]):
        return 0
    return 2 if guided else 1


def test_any_samplers_step_counts_and_scales_share_their_batches(
    model: Diffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []
    forward = model.net.forward

    def counted(x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        batches.append(len(x))
        return forward(x, t, label)

    alone = [pixels_of(model, seed, **r) for seed, r in enumerate(REQUESTS)]
    monkeypatch.setattr(model.net, "forward", counted)
    engine = Engine(CPU, clock=lambda: 0.0)  # a slow machine would take fewer rows a turn
    for seed, request in enumerate(REQUESTS):
        params = DiffusionParams.model_validate(request)
        engine.add(seed, model.generate(params, seeded(seed)))
    together = {}
    while len(engine):
        for event in engine.tick():
            if isinstance(event, Finished):
                together[event.id] = event.artifacts[0].pixels
    assert all(torch.equal(together[seed], x) for seed, x in enumerate(alone))
    size = model.predict.max_batch or 4
    longest = max(evaluations(r["sampler"], r["steps"]) for r in REQUESTS)
    waiting = [sum(rows_of(r, turn) for r in REQUESTS) for turn in range(longest)]
    assert len(batches) == sum(-(-rows // size) for rows in waiting), "all who wait go together"
    assert min(batches) >= 4
    padding = sum(batches) - sum(waiting)
    assert 0 <= padding <= 3 * len(batches), "a batch is padded to four and no further"


def test_the_engine_needs_as_few_passes_as_the_longest_request_where_all_fit_in_one_batch(
    model: Diffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = []
    forward = model.net.forward
    monkeypatch.setattr(
        model.net, "forward", lambda x, t, label: passes.append(1) or forward(x, t, label)
    )
    engine = Engine(CPU)
    few = [
        {"sampler": "ddim", "steps": 12},
        {"sampler": "euler", "steps": 8, "class_label": "bag", "guidance_scale": 1.0},
        {"sampler": "heun", "steps": 5},
        {"sampler": "ddpm", "steps": 6},
    ]
    for seed, request in enumerate(few):
        params = DiffusionParams.model_validate(request)
        engine.add(seed, model.generate(params, seeded(seed)))
    while len(engine):
        engine.tick()
    assert len(passes) == 12


def test_guidance_goes_on_from_without_through_with_the_label(model: Diffusion) -> None:
    """One step from the same noise: the three answers lie on a line (Ho and Salimans 2022)."""

    def said(**params: Any) -> Tensor:
        flow = model.generate(DiffusionParams(steps=1, **params), seeded(1))
        results = run_together(model.predict, [s.row for s in resume(flow, None)], CPU)
        flow.close()
        return torch.stack(results)

    (free,) = said()
    (labelled,) = said(class_label="shoe", guidance_scale=1.0)
    both = said(class_label="shoe", guidance_scale=3.0)
    assert torch.equal(both[0], labelled)
    assert torch.equal(both[1], free)
    x = normal(seeded(1), *model.shape)
    a = model.schedule.alpha_bar[-1]
    output = free + 3.0 * (labelled - free)
    expected = model.schedule.denoised(x, output, a**0.5, (1 - a) ** 0.5).x0
    got = pixels_of(model, class_label="shoe", guidance_scale=3.0, steps=1)
    assert torch.allclose(got, (expected + 1) / 2, atol=1e-6)


def test_the_checkpoints_own_guidance_counts_where_none_is_asked_for(model: Diffusion) -> None:
    own = pixels_of(model, class_label="bag", steps=3)
    assert torch.equal(own, pixels_of(model, class_label="bag", guidance_scale=2.0, steps=3))
    assert not torch.equal(own, pixels_of(model, class_label="bag", guidance_scale=4.0, steps=3))


def picture() -> Image:
    return Image(torch.rand(3, 40, 30, generator=seeded(3)))


def test_a_given_picture_is_kept_the_more_the_less_the_strength(model: Diffusion) -> None:
    original = picture()
    kept = pixels_of(model, init_image="a" * 64, strength=0.0, inputs={"init_image": original})
    distances = [
        (
            pixels_of(
                model, init_image="a" * 64, strength=s, steps=20, inputs={"init_image": original}
            )
            - kept
        )
        .abs()
        .mean()
        .item()
        for s in (0.0, 0.2, 1.0)
    ]
    assert distances[0] == 0
    assert distances[0] < distances[1] < distances[2]
    assert kept.shape == model.shape


@pytest.mark.parametrize(("strength", "steps"), [(1.0, 10), (0.5, 5), (0.1, 1), (None, 5)])
def test_a_given_picture_takes_its_share_of_the_steps(
    model: Diffusion, strength: float | None, steps: int
) -> None:
    params = DiffusionParams(init_image="a" * 64, strength=strength, steps=10)
    flow: Flow | None = model.generate(params, seeded(1), {"init_image": picture()})
    engine, seen = Engine(CPU), []
    engine.add("x", flow)  # type: ignore[arg-type]
    while len(engine):
        seen += [e.progress for e in engine.tick() if isinstance(e, Advanced)]
    assert seen == [(i + 1, steps) for i in range(steps)]


@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "dpmpp_2m"])
def test_a_walk_begins_at_its_own_seed_and_ends_at_the_other(
    model: Diffusion, sampler: str
) -> None:
    asked = {"sampler": sampler, "steps": 4, "interpolate": {"to_seed": 9, "frames": 4}}
    params = DiffusionParams.model_validate(asked)
    (walk,) = run_alone(model.generate(params, seeded(1)))
    assert isinstance(walk, Frames)
    assert walk.pixels.shape == (4, *model.shape)
    assert torch.equal(walk.pixels[0], pixels_of(model, 1, sampler=sampler, steps=4))
    steps = walk.pixels.diff(dim=0).flatten(1).norm(dim=1)
    assert steps.max() < (walk.pixels[-1] - walk.pixels[0]).norm()
    if sampler != "ddpm":  # which draws more noise on its way, another with the other seed
        assert torch.allclose(
            walk.pixels[-1], pixels_of(model, 9, sampler=sampler, steps=4), atol=1e-4
        )


def test_previews_are_pictures_of_what_was_predicted(model: Diffusion) -> None:
    engine = Engine(CPU)
    engine.add("x", model.generate(DiffusionParams(steps=5, class_label="bag"), seeded(1)))
    drawn = []
    while len(engine):
        for event in engine.tick():
            if isinstance(event, Advanced) and event.preview:
                drawn.append(event.preview())
    assert len(drawn) == 4, "one a step, from the second on"
    assert all(isinstance(p, Image) and p.pixels.shape == model.shape for p in drawn)


def test_half_precision_knows_its_time(path: Path) -> None:
    """A time as large as 999 would be rounded by four in bfloat16."""
    half = Diffusion(load(path), Placement(CPU, torch.bfloat16))
    x, label = torch.randn(half.shape), torch.tensor(0)
    rows = [(x, torch.tensor(t * 1000), label) for t in (997, 998, 999)]
    times = []
    forward = half.net.forward
    half.net.forward = lambda x, t, label: times.append(t) or forward(x, t, label)  # type: ignore[method-assign, func-returns-value]
    run_together(half.predict, rows, CPU)
    assert times[0][:3].tolist() == [997.0, 998.0, 999.0]


@pytest.mark.parametrize(
    ("process", "said"),
    [
        ({"schedule": "steep"}, "schedule must be one of linear, cosine"),
        ({"prediction": "y"}, "prediction must be one of eps, v, x"),
        ({"spacing": "odd"}, "spacing must be one of even"),
        ({"steps": "many"}, "noise process"),
    ],
)
def test_a_header_with_a_process_that_is_not_there_is_refused(
    path: Path, tmp_path: Path, process: dict[str, Any], said: str
) -> None:
    checkpoint = load(path)
    save(
        tmp_path / path.name,
        checkpoint.header.model_copy(update={"process": process}),
        checkpoint.tensors,
    )
    with pytest.raises(CheckpointError, match=said):
        Diffusion(load(tmp_path / path.name), Placement(CPU))


@pytest.mark.parametrize("guidance", [0.5, 50, "much"])
def test_a_guidance_out_of_bounds_is_refused(path: Path, guidance: Any) -> None:
    checkpoint = load(path)
    process = {**checkpoint.header.process, "guidance": guidance}
    header = checkpoint.header.model_copy(update={"process": process})
    with pytest.raises(CheckpointError, match="noise process"):
        Diffusion(Checkpoint(header, checkpoint.tensors, ""), Placement(CPU))


@pytest.mark.parametrize(("steps", "strength"), [(1, None), (4, 0.1), (1000, 0.0001)])
def test_any_strength_takes_a_step_at_least(
    model: Diffusion, steps: int, strength: float | None
) -> None:
    params = DiffusionParams(init_image="a" * 64, strength=strength, steps=steps)
    flow = model.generate(params, seeded(1), {"init_image": picture()})
    assert len(resume(flow, None)) == 1
    flow.close()
