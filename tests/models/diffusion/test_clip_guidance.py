"""What CLIP leads: the gradient against a naive one, its sign, what is read, and what it brings."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional as F

from app.catalog.request_models import request_class
from app.http.validation_errors import explain_details
from models.artifacts import values_of
from models.checkpoint.header import COMPONENTS, GUIDE, CheckpointError, Header, read_header
from models.checkpoint.weights import load, save
from models.clip.clip import CLIP, cutouts
from models.diffusion.attach_clip import attach_clip
from models.diffusion.clip_guidance import CUTOUTS, ClipGuidance, ClipTarget
from models.diffusion.timesteps import timesteps
from models.engine.batching import run_together
from models.engine.engine import Engine
from models.engine.flow import run_alone
from models.engine.noise import seeded
from models.families import FAMILIES
from models.params.diffusion import SAMPLERS, DiffusionParams, TextToImageParams
from tests.models.families import GUIDED, load_family, tiny_checkpoint, tiny_guided

CPU = torch.device("cpu")
CHECKPOINTS = Path(__file__).parents[3] / "checkpoints"


@pytest.fixture(scope="module", params=GUIDED)
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_guided(tmp_path_factory.mktemp("led"), request.param)


def pictures_of(family: Any, x0: Tensor) -> Tensor:
    """What a family makes of clean x0, (1, C, H, W) in [-1, 1]."""
    named = vars(family)
    if "nets" in named:
        return family.nets.decode(x0)  # type: ignore[no-any-return]
    return family.autoencoder.decode(x0) if "autoencoder" in named else x0


def naive(family: Any, clip: CLIP, x0: Tensor, goal: Tensor, cuts: Tensor) -> Tensor:
    """Of one picture, cut out with slices of its pixels' places, one cutout after another."""
    x0 = x0.clone().requires_grad_()
    picture = pictures_of(family, x0[None]).expand(1, 3, -1, -1)
    side, alike = clip.side, torch.zeros(())
    small = F.interpolate(picture, (side, side), mode="bicubic", antialias=True)
    for fraction, right, down in cuts.tolist():
        places = (torch.arange(side) + 0.5) * 2 / side - 1  # the middles of pixels
        x, y = (places * fraction + shift * (1 - fraction) for shift in (right, down))
        grid = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], -1)[None]
        cut = F.grid_sample(small, grid, padding_mode="border", align_corners=False)
        mean, std = (torch.tensor(t)[:, None, None] for t in (clip.sight.mean, clip.sight.std))
        seen = clip.net.encode_image(((cut + 1) / 2 - mean) / std, normalize=True)[0]
        alike = alike + F.cosine_similarity(seen, goal, dim=0) / len(cuts)
    alike.backward()  # type: ignore[no-untyped-call]
    assert x0.grad is not None
    return x0.grad


def rows_of(guide: ClipGuidance, count: int) -> list[tuple[Tensor, ...]]:
    rng = torch.Generator().manual_seed(3)
    shape, embed = guide.gradient.example[0].shape, guide.clip.embed
    return [
        (
            torch.randn(shape, generator=rng),
            F.normalize(torch.randn(embed, generator=rng), dim=0),
            cutouts(rng, CUTOUTS),
        )
        for _ in range(count)
    ]


def test_the_gradient_is_that_of_each_picture_alone(path: Path) -> None:
    family: Any = load_family(path)
    rows = rows_of(family.clip_guidance, 3)
    for row, gradient in zip(
        rows, run_together(family.clip_guidance.gradient, rows, CPU), strict=True
    ):
        expected = naive(family, family.clip_guidance.clip, *row)
        assert torch.allclose(gradient, expected, atol=1e-6 + 1e-4 * float(expected.abs().max()))


def test_it_leads_towards_the_text_and_less_where_there_is_less_noise(path: Path) -> None:
    family: Any = load_family(path)
    ((x0, goal, cuts),) = rows_of(family.clip_guidance, 1)
    (gradient,) = run_together(family.clip_guidance.gradient, [(x0, goal, cuts)], CPU)

    def alike(x: Tensor) -> float:
        with torch.no_grad():
            return float(
                family.clip_guidance.clip.similarity(
                    pictures_of(family, x[None]), goal[None], cuts[None]
                )
            )

    step = 0.01 * gradient / gradient.norm()
    assert alike(x0 + step) > alike(x0) > alike(x0 - step)


def test_the_lead_is_scaled_by_the_noise_of_its_level(path: Path) -> None:
    """By sqrt(1 - alpha_bar) and the request's scale, at every second level."""
    family: Any = load_family(path)
    ((x0, goal, _),) = rows_of(family.clip_guidance, 1)
    way = timesteps(family.schedule.alpha_bar, 4)
    hook = ClipTarget(family.clip_guidance.gradient, goal, 3.0, every=2).hook(way, seeded(1))
    for level in (0, 2):
        flow: Any = hook(x0, level, (1, 2))
        (step,) = flow.send(None)
        (gradient,) = run_together(step.run, [step.row], CPU)
        with pytest.raises(StopIteration) as end:
            flow.send((gradient,))
        added = 3.0 * (1 - way.alpha_bar[level]) ** 0.5 * gradient
        assert torch.allclose(end.value.value, x0 + added, atol=1e-6)
    flow = hook(x0, 1, (1, 2))
    with pytest.raises(StopIteration) as end:
        flow.send(None)
    assert end.value.value is x0


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_lead_that_moves_nothing_changes_no_bit(path: Path, sampler: str) -> None:
    family: Any = load_family(path)
    kind = FAMILIES[read_header(path).family].params
    asked = {"prompt": "dog", "steps": 3, "sampler": sampler, "clip_guidance_scale": 1e-30}
    free = {"prompt": "dog", "steps": 3, "sampler": sampler}
    if kind is DiffusionParams:
        del free["prompt"]  # which alone leads it
    guided, plain = (
        run_alone(family.generate(kind.model_validate(a), seeded(1)))[0] for a in (asked, free)
    )
    assert torch.equal(values_of(guided), values_of(plain))


@pytest.mark.parametrize("scale", ["much", [1], 0, -3.0, 1001.0, None])
def test_a_checkpoints_own_scale_is_one_that_could_be_asked_for(
    tmp_path: Path, scale: object
) -> None:
    path = tiny_guided(tmp_path, "diffusion")
    checkpoint = load(path)
    process = {**checkpoint.header.process, "clip_guidance": scale}
    save(path, checkpoint.header.model_copy(update={"process": process}), checkpoint.tensors)
    with pytest.raises(CheckpointError, match="its noise process can't be made"):
        load_family(path)


def test_a_led_flow_is_canceled_between_any_two_steps(path: Path) -> None:
    header = read_header(path)
    params = FAMILIES[header.family].params.model_validate(GUIDED[header.family][1])
    family = load_family(path)
    engine, ticks = Engine(CPU), 0
    engine.add("whole", family.generate(params, seeded(1)))
    while len(engine):
        engine.tick()
        ticks += 1
    for at in range(ticks):
        engine.add("x", family.generate(params, seeded(1)))
        for _ in range(at):
            engine.tick()
        engine.cancel("x")
        assert len(engine) == 0
        assert engine.tick() == []


def test_only_what_is_led_takes_what_leads(tmp_path: Path) -> None:
    free = read_header(tiny_checkpoint(tmp_path, "diffusion"))
    guided = read_header(tiny_guided(tmp_path, "diffusion"))
    for asked in ({"prompt": "dog"}, {"clip_guidance_scale": 5.0}, {"clip_guidance_every": 2}):
        assert "is not a parameter" in refused(free, asked)
    assert "clip_guidance_scale needs prompt" in refused(guided, {"clip_guidance_scale": 5.0})
    asked = {"prompt": "dog", "clip_guidance_every": 2}
    assert "clip_guidance_every needs clip_guidance_scale" in refused(guided, asked)
    taken = request_class("m", guided, FAMILIES["diffusion"], 4).model_validate({"prompt": "dog"})
    assert dict(taken)["prompt"] == "dog"
    request_class("m", guided, FAMILIES["diffusion"], 4).model_validate({})


def refused(header: Header, asked: dict[str, Any]) -> str:
    pixels_of = request_class("m", header, FAMILIES[header.family], 4)
    with pytest.raises(ValidationError) as error:
        pixels_of.model_validate(asked)
    return explain_details(error.value.errors(), pixels_of.model_json_schema()).message


def test_only_diffusion_models_are_led_and_only_by_a_clip(tmp_path: Path) -> None:
    tiny_guided(tmp_path, "diffusion")
    tiny_checkpoint(tmp_path, "vae")
    tiny_checkpoint(tmp_path, "latent_diffusion")
    before = (tmp_path / "tiny-vae.safetensors").read_bytes()
    for model, clip, message in (
        ("tiny-vae", "tiny-leader", "is no diffusion model, but of family vae"),
        ("lost", "tiny-leader", "no lost.safetensors"),
        ("tiny-diffusion", "lost", "there is no part lost"),
        ("tiny-diffusion", "tiny-upscaler", "can't lead: it is no CLIP"),
        ("tiny-latent_diffusion", "tiny-clip", "reads by tiny-clip, which leads it already"),
    ):
        with pytest.raises(CheckpointError, match=message):
            attach_clip(tmp_path, model, clip)
    assert (tmp_path / "tiny-vae.safetensors").read_bytes() == before


def test_another_card_and_the_same_weights(tmp_path: Path) -> None:
    before = load(tiny_checkpoint(tmp_path, "latent_diffusion"))
    after = load(tiny_guided(tmp_path, "latent_diffusion"))
    assert after.tensors.keys() == before.tensors.keys()
    assert all(torch.equal(t, before.tensors[name]) for name, t in after.tensors.items())
    assert after.header.requires.keys() == {"clip", "upscaler", GUIDE}
    assert (before.header.guide, after.header.guide) == ("clip", GUIDE)


def test_words_that_clip_does_not_know_are_noted(tmp_path: Path) -> None:
    tiny_checkpoint(tmp_path, "latent_diffusion")  # its CLIP knows few words
    path = attach_clip(tmp_path, tiny_checkpoint(tmp_path, "diffusion").stem, "tiny-clip")
    params = DiffusionParams(prompt="a red xylograph", steps=2)
    (picture,) = run_alone(load_family(path).generate(params, seeded(1)))
    assert picture.notes == ("not understood: xylograph",)


def similarity(clip: CLIP, text: str, pictures: list[Tensor]) -> Tensor:
    """Of pictures in [0, 1], by cutouts that led none of them."""
    with torch.no_grad():
        rows = clip.tokenizer.read_text(text, clip.context).rows
        goal = clip.encode.fn(clip.tokens(rows)[None])[1]
        cuts = torch.stack([cutouts(torch.Generator().manual_seed(99), 16)] * len(pictures))
        return clip.similarity(torch.stack(pictures) * 2 - 1, goal.expand(len(pictures), -1), cuts)


@pytest.mark.slow
@pytest.mark.parametrize("text", ["shoe", "bag"])
def test_real_pictures_come_nearer_to_the_text(text: str, tmp_path: Path) -> None:
    (tmp_path / COMPONENTS).symlink_to(CHECKPOINTS / COMPONENTS)
    (tmp_path / "ddpm-fashion.safetensors").write_bytes(
        (CHECKPOINTS / "ddpm-fashion.safetensors").read_bytes()
    )
    family: Any = load_family(attach_clip(tmp_path, "ddpm-fashion", "clip-emoji"))
    asked: list[dict[str, Any]] = [{}, {"prompt": text, "clip_guidance_scale": 100.0}]
    free, guided = (
        similarity(
            family.clip_guidance.clip,
            text,
            [pixels_of(family, DiffusionParams, s, a) for s in range(3)],
        )
        for a in asked
    )
    assert (guided > free).all()
    assert (guided - free).mean() > 0.05


def pixels_of(family: Any, kind: Any, seed: int, asked: dict[str, Any]) -> Tensor:
    params = kind.model_validate({"steps": 8, "sampler": "dpmpp_2m", **asked})
    (picture,) = run_alone(family.generate(params, seeded(seed)))
    return picture.pixels


@pytest.mark.slow
def test_an_unconditional_painter_is_led_by_clip_alone() -> None:
    family: Any = load_family(CHECKPOINTS / "t2i-emoji.safetensors")
    base = {"prompt": "a red apple", "guidance_scale": 0.0}
    free, guided = (
        similarity(
            family.clip_guidance.clip,
            "a red apple",
            [pixels_of(family, TextToImageParams, s, base | more) for s in range(3)],
        )
        for more in ({}, {"clip_guidance_scale": 100.0})
    )
    assert (guided > free).all()
