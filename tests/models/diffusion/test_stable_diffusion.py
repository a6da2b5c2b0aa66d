"""Stable Diffusion against diffusers' own pipeline, and what a request may ask of it."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from open_clip.tokenizer import SimpleTokenizer
from pydantic import ValidationError
from torch import Tensor

from app.catalog.request_models import request_class
from app.http.validation_errors import explain_details
from models.artifacts import Image
from models.checkpoint.header import CheckpointError, read_header
from models.checkpoint.weights import load
from models.convert.importers import import_weights
from models.diffusion.stable_diffusion import StableDiffusion
from models.diffusion.stable_diffusion_tokenizer import PromptTokenizer, tensors_of
from models.engine.batching import Placement
from models.engine.determinism import check_determinism
from models.engine.engine import Engine, Failed, Finished
from models.engine.flow import run_alone
from models.engine.noise import normal, seeded
from models.families import FAMILIES
from models.params.diffusion import StableDiffusionParams
from tests.models.stable import MARKS, TOKENIZER, tiny_folder, tiny_pipeline

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CPU = torch.device("cpu")
PROMPT, NEGATIVE = "a red apple! on it", "dog"
STEPS = 6
NAMED = "ab" * 32


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """A tiny model of each version, imported as its user would."""
    folder = tmp_path_factory.mktemp("stable")
    return {
        version: import_weights(
            "diffusers", tiny_folder(folder, version), None, folder, f"sd-{version}", {}
        )
        for version in (1, 2)
    }


@pytest.fixture(scope="module")
def models(checkpoints: dict[int, Path]) -> dict[int, StableDiffusion]:
    return {n: StableDiffusion(load(path), Placement(CPU)) for n, path in checkpoints.items()}


@pytest.fixture(scope="module")
def model(models: dict[int, StableDiffusion]) -> StableDiffusion:
    return models[1]


def image_of(model: StableDiffusion, seed: int = 3, **asked: Any) -> Image:
    inputs = asked.pop("inputs", {})
    params = StableDiffusionParams.model_validate({"prompt": PROMPT, "steps": STEPS, **asked})
    (artifact,) = run_alone(model.generate(params, seeded(seed), inputs))
    assert isinstance(artifact, Image)
    return artifact


def oracle(pipeline: Any, seed: int, size: tuple[int, int], **asked: Any) -> Tensor:
    """What diffusers' pipeline makes of the same noise, beyond 0 and 1 where it goes there."""
    noise = normal(seeded(seed), 4, size[0] // 8, size[1] // 8)[None]
    asked = {"prompt": PROMPT, "guidance_scale": 7.5, "num_inference_steps": STEPS, **asked}
    z = pipeline(latents=noise, height=size[0], width=size[1], output_type="latent", **asked).images
    with torch.no_grad():
        pictures = pipeline.vae.decode(z / pipeline.vae.config.scaling_factor).sample
    return (pictures[0] + 1) / 2


@pytest.mark.parametrize("size", [(64, 64), (48, 96)])
@pytest.mark.parametrize("version", [1, 2])
def test_ddim_paints_what_diffusers_paints(
    models: dict[int, StableDiffusion], version: int, size: tuple[int, int]
) -> None:
    pipeline = tiny_pipeline(version)
    want = oracle(pipeline, 3, size, negative_prompt=NEGATIVE)
    got = image_of(models[version], negative_prompt=NEGATIVE, height=size[0], width=size[1])
    assert got.pixels.shape == (3, *size)
    assert (got.pixels - want).abs().max() < 1e-4


@pytest.mark.parametrize("version", [1, 2])
def test_euler_paints_what_diffusers_paints_at_the_same_spacing(
    models: dict[int, StableDiffusion], version: int
) -> None:
    """Its own default is `linspace` at times between whole ones; a folder's spacing is one for
    all samplers here."""
    from diffusers import EulerDiscreteScheduler

    pipeline = tiny_pipeline(version)
    pipeline.scheduler = EulerDiscreteScheduler.from_config(
        pipeline.scheduler.config, timestep_spacing="leading"
    )
    want = oracle(pipeline, 3, (64, 64))
    assert (image_of(models[version], sampler="euler").pixels - want).abs().max() < 1e-4


@pytest.mark.parametrize("version", [1, 2])
def test_dpmpp_2m_paints_what_diffusers_paints_at_the_same_times(
    models: dict[int, StableDiffusion], version: int
) -> None:
    from diffusers import DPMSolverMultistepScheduler

    pipeline = tiny_pipeline(version)
    times = [int(t) for t in pipeline_times(pipeline)]
    pipeline.scheduler = DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config)
    want = oracle(pipeline, 3, (64, 64), timesteps=times, num_inference_steps=None)
    assert (image_of(models[version], sampler="dpmpp_2m").pixels - want).abs().max() < 1e-4


def pipeline_times(pipeline: Any) -> list[int]:
    pipeline.scheduler.set_timesteps(STEPS)
    times: list[int] = pipeline.scheduler.timesteps.tolist()
    return times


def test_without_guidance_it_paints_what_diffusers_paints(model: StableDiffusion) -> None:
    want = oracle(tiny_pipeline(), 4, (64, 64), guidance_scale=1.0)
    assert (image_of(model, 4, guidance_scale=1.0).pixels - want).abs().max() < 1e-4


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("text", [PROMPT, "", "Red,  Apple!! 12", "x" * 30, "日本 naïve"])
def test_words_are_those_of_the_pipelines_tokenizer(
    models: dict[int, StableDiffusion], version: int, text: str
) -> None:
    tokenizer = tiny_pipeline(version).tokenizer
    rows = tokenizer(text, padding="max_length", max_length=16, truncation=True).input_ids
    assert models[version].nets.tokenizer.encode(text).tokens.tolist() == rows


def test_the_words_of_clip_are_read_as_open_clip_reads_them() -> None:
    """The very list that Stable Diffusion 1.x and 2.x are published with."""
    theirs: Any = SimpleTokenizer()
    begin, end = (theirs.encoder[mark] for mark in ("<start_of_text>", "<end_of_text>"))
    vocab = {word: row for word, row in theirs.encoder.items() if row < begin}
    vocab |= {MARKS[0]: begin, MARKS[1]: end}
    merges = [" ".join(pair) for pair in sorted(theirs.bpe_ranks, key=theirs.bpe_ranks.get)]
    tensors = tensors_of(vocab, "\n".join(["#version: 0.2", *merges, ""]))
    tokenizer = PromptTokenizer.of(TOKENIZER, tensors, 77)
    for text in ("a red apple, 4k; it's good!", "Ein Gemälde von Zürich", "一个红苹果 🍎"):
        rows = [begin, *theirs.encode(text), end]
        assert tokenizer.encode(text).tokens.tolist() == rows + [end] * (77 - len(rows))
    assert tokenizer.encode("apple " * 80).beyond == "apple apple apple apple apple"


def test_what_is_beyond_the_context_is_noted_with_the_output(model: StableDiffusion) -> None:
    short = image_of(model, steps=1)
    assert short.notes == ()
    long = image_of(model, steps=1, prompt="apple " * 14 + "red red dog")
    assert long.notes == ("beyond the 16 tokens that are read: red red dog",)
    image = image_of(model, steps=1, prompt="apple " * 14, negative_prompt="x " * 15)
    assert image.notes == ("beyond the 16 tokens that are read: x",)
    assert torch.equal(long.pixels, image_of(model, steps=1, prompt="apple " * 14).pixels)


class Spied:
    """Notes the shape of every batch that the net is asked for."""

    def __init__(self, model: StableDiffusion, patch: pytest.MonkeyPatch) -> None:
        self.shapes: list[tuple[int, ...]] = []
        ask = model.nets.predict

        def predict(z: Tensor, t: Tensor, states: Tensor) -> Tensor:
            self.shapes.append(tuple(z.shape))
            return ask(z, t, states)

        patch.setattr(model.nets, "predict", predict)


def test_requests_of_one_size_share_their_steps_whatever_else_they_ask(
    model: StableDiffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = [
        {"steps": 3},
        {"steps": 2, "sampler": "euler", "guidance_scale": 3.0},
        {"steps": 3, "sampler": "dpmpp_2m", "guidance_scale": 1.0},
        {"steps": 3, "prompt": "dog", "guidance_scale": 1.0},
        {"steps": 2, "sampler": "heun", "prompt": "dog"},
        {"steps": 2, "width": 32, "height": 48},
    ]
    assert check_determinism(model.batched, CPU).determinism == "bitwise"
    alone = [image_of(model, i, **a).pixels for i, a in enumerate(asked)]
    spied = Spied(model, monkeypatch)
    engine = Engine(CPU, lambda: 0.0)  # no time passes, so that none is short
    for i, a in enumerate(asked):
        params = StableDiffusionParams.model_validate({"prompt": PROMPT, **a})
        engine.add(i, model.generate(params, seeded(i)))
    ends: dict[Any, Tensor] = {}
    while len(engine):
        for event in engine.tick():
            assert not isinstance(event, Failed)
            if isinstance(event, Finished):
                ends[event.id] = event.artifacts[0].pixels
    assert all(torch.equal(ends[i], pixels) for i, pixels in enumerate(alone))
    large = [shape[0] for shape in spied.shapes if shape[1:] == (4, 8, 8)]
    assert sum(large) == 22, "six rows, four, three, three and six"
    assert len(large) == 11, "and three more, if those without guidance had one each to themselves"
    assert [shape for shape in spied.shapes if shape[2] == 6] == [(2, 4, 6, 4)] * 2


def drawn(height: int = 64, width: int = 64) -> Image:
    return Image(torch.rand(3, height, width, generator=seeded(8)))


def test_no_strength_is_what_the_autoencoder_keeps(model: StableDiffusion) -> None:
    original = drawn()
    asked = {"init_image": NAMED, "inputs": {"init_image": original}}
    got = image_of(model, strength=0.0, **asked)
    with torch.no_grad():
        z = model.nets.encode(original.pixels[None] * 2 - 1)
        want = (model.nets.decode(z)[0] + 1) / 2
    assert torch.allclose(got.pixels, want, atol=1e-5)
    less, more = (image_of(model, strength=s, **asked).pixels for s in (0.3, 1.0))
    assert (less - want).abs().mean() < (more - want).abs().mean()


def test_what_is_not_masked_stays_as_it_was(model: StableDiffusion) -> None:
    original, mask = drawn(48, 96), torch.zeros(1, 48, 96)
    mask[:, 10:30, 40:70] = 1
    asked = {"init_image": NAMED, "mask": NAMED, "height": 48, "width": 96, "strength": 0.8}
    got = image_of(model, inputs={"init_image": original, "mask": Image(mask)}, **asked).pixels
    kept = mask[0] == 0
    assert torch.equal(got[:, kept], original.pixels[:, kept])
    assert (got[:, ~kept] - original.pixels[:, ~kept]).abs().mean() > 0.01


@pytest.mark.parametrize("shape", [(30, 90), (90, 30), (48, 96), (1, 1)])
def test_a_given_picture_of_any_shape_fills_the_size_that_is_asked(
    model: StableDiffusion, shape: tuple[int, int]
) -> None:
    inputs = {"init_image": drawn(*shape)}
    got = image_of(model, steps=2, init_image=NAMED, width=96, height=48, inputs=inputs)
    assert got.pixels.shape == (3, 48, 96)


def test_a_preview_is_nearer_to_the_picture_than_its_mean_colour(model: StableDiffusion) -> None:
    z = torch.nn.functional.interpolate(normal(seeded(1), 1, 4, 3, 3), (12, 12), mode="bicubic")
    with torch.no_grad():
        picture = torch.nn.functional.avg_pool2d(model.nets.decode(z), 8)[0].clamp(-1, 1)
    preview = model.nets.preview(z[0])
    assert preview.shape == (3, 12, 12)
    mean = picture.mean((1, 2), keepdim=True)
    assert (preview - picture).square().mean() < 0.7 * (mean - picture).square().mean()


def refusal(request: Any, **asked: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        request.model_validate({"prompt": PROMPT, **asked})
    return explain_details(caught.value.errors(), request.model_json_schema()).message


def test_a_request_has_the_sizes_and_steps_of_its_checkpoint(checkpoints: dict[int, Path]) -> None:
    header = read_header(checkpoints[1])
    request: Any = request_class("sd", header, FAMILIES["stable_diffusion"], 8)
    plain = request.model_validate({"prompt": PROMPT})
    assert (plain.width, plain.height, plain.steps, plain.sampler) == (64, 64, 30, "ddim")
    assert plain.guidance_scale == 7.5
    assert request.model_validate({"prompt": PROMPT, "width": 128, "height": 16}).width == 128
    assert refusal(request, width=136) == "width must be between 16 and 128"
    assert refusal(request, height=8) == "height must be between 16 and 128"
    assert refusal(request, width=20) == "width must be a multiple of 8"
    assert refusal(request, steps=1000) == "steps must be between 1 and 999"
    assert refusal(request, mask=NAMED) == "mask needs init_image"


def test_as_many_steps_as_are_allowed_can_be_done(model: StableDiffusion) -> None:
    params = StableDiffusionParams(prompt=PROMPT, steps=999)
    assert len(model._path(params)) == 999


def test_large_pictures_weigh_more() -> None:
    def rows(**asked: Any) -> int:
        return StableDiffusionParams.model_validate({"prompt": PROMPT, **asked}).rows

    assert rows() == rows(width=512, height=512) == rows(width=64, height=64) == 1
    assert (rows(width=768, height=768), rows(width=1024, height=1024)) == (3, 4)
    assert rows(width=1024, height=512, interpolate={"to_seed": 1, "frames": 5}) == 10


def test_memory_is_told_by_what_decoding_takes(model: StableDiffusion) -> None:
    assert model.item_bytes == 3 * 8 * 512 * 512 * 4


@pytest.mark.parametrize("name", ["diffusers", "transformers"])
def test_what_to_install_is_told_where_it_is_missing(
    checkpoints: dict[int, Path], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    absent = {
        "diffusers": "diffusers.models.unets.unet_2d_condition",
        "transformers": "transformers",
    }
    monkeypatch.setitem(sys.modules, absent[name], None)
    with pytest.raises(CheckpointError, match=r"missing\): pip install 'atelier-service\[sd\]'"):
        StableDiffusion(load(checkpoints[1]), Placement(CPU))
