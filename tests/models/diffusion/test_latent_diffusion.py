"""Words to pictures: what is read, what leads, and what stays of a given picture."""

from pathlib import Path

import pytest
import torch

from models.artifacts import Image
from models.checkpoint.header import COMPONENTS, CheckpointError, Header
from models.checkpoint.weights import load, save, weights_sha256
from models.clip.clip import CLIP, cutouts
from models.diffusion.latent_diffusion import LatentDiffusion
from models.engine.batching import Placement
from models.engine.engine import Advanced, Engine, Finished
from models.engine.flow import Inputs, run_alone
from models.engine.noise import seeded
from models.nets.clip import build_clip, see, tell
from models.params.diffusion import TextToImageParams
from tests.models.families import CLIP as CLIP_CONFIG
from tests.models.families import ROWS, WORDS, tiny_checkpoint

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint(tmp_path_factory.mktemp("latent"), "latent_diffusion")


@pytest.fixture(scope="module")
def family(path: Path) -> LatentDiffusion:
    return LatentDiffusion(load(path), Placement(CPU))


@pytest.fixture(scope="module")
def clip(path: Path) -> CLIP:
    return CLIP(load(path).requires["clip"], Placement(CPU))


def painted(family: LatentDiffusion, seed: int = 1, inputs: Inputs | None = None, **asked) -> Image:  # type: ignore[no-untyped-def]
    params = TextToImageParams.model_validate({"steps": 3, **asked})
    (picture,) = run_alone(family.generate(params, seeded(seed), inputs or {}))
    assert isinstance(picture, Image)
    return picture


def test_a_short_text_is_told_as_open_clip_tells_it_padded() -> None:
    torch.manual_seed(0)
    net = build_clip(**CLIP_CONFIG).eval()
    short = torch.tensor([[ROWS - 2, 5, 9, ROWS - 1], [ROWS - 2, 7, ROWS - 1, 0]])
    whole = torch.nn.functional.pad(short, (0, 28))
    with torch.no_grad():
        theirs = net.encode_text(whole, normalize=True)  # type: ignore[operator]
        assert torch.allclose(tell(net, short).pooled, theirs, atol=1e-6)
        pictures = torch.randn(2, 3, 32, 32)
        seen = net.encode_image(pictures, normalize=True)  # type: ignore[operator]
        assert torch.allclose(see(net, pictures), seen, atol=1e-6)


def test_the_lead_is_the_gradient_of_the_likeness(family: LatentDiffusion, clip: CLIP) -> None:
    """Against differences along it."""
    rng = torch.Generator().manual_seed(0)
    z, goal = torch.randn(1, 4, 8, 8, generator=rng), torch.zeros(1, 16)
    goal[0, 3] = 1.0
    cuts = cutouts(rng, 4)[None]
    gradient = family.clip_guidance._gradient(z, goal, cuts)
    way = gradient / gradient.norm()
    ahead, behind = (
        clip.similarity(family.autoencoder.decode(z + step * way), goal, cuts).sum()
        for step in (0.02, -0.02)
    )
    assert ahead > behind
    assert torch.allclose((ahead - behind) / 0.04, gradient.norm(), rtol=0.05)


def test_the_first_cutout_is_the_whole_picture(clip: CLIP) -> None:
    picture = torch.randn(1, 3, 32, 32)
    goal = torch.nn.functional.normalize(torch.randn(1, 16), dim=1)
    with torch.no_grad():
        alike = clip.similarity(picture, goal, cutouts(torch.Generator(), 1)[None])
        assert torch.allclose(alike, (see(clip.net, picture) * goal).sum(1), atol=1e-4)


def test_guidance_by_nothing_leaves_the_words_out(family: LatentDiffusion) -> None:
    one, other = (
        painted(family, prompt=p, guidance_scale=0.0).pixels for p in ("red apple", "dog")
    )
    assert torch.equal(one, other)
    guided = painted(family, prompt="dog", guidance_scale=0.0, clip_guidance_scale=100.0).pixels
    assert not torch.equal(one, guided)


def test_the_negative_prompt_takes_the_place_of_no_words(family: LatentDiffusion) -> None:
    plain = painted(family, prompt="red apple", guidance_scale=3.0).pixels
    away = painted(family, prompt="red apple", negative_prompt="dog", guidance_scale=3.0).pixels
    assert not torch.equal(plain, away)
    expected_pixels = painted(family, prompt="dog", guidance_scale=1.0).pixels
    swapped = painted(family, prompt="red apple", negative_prompt="dog", guidance_scale=0.0).pixels
    assert torch.equal(expected_pixels, swapped)


def test_what_is_not_understood_is_noted(family: LatentDiffusion) -> None:
    read = painted(family, prompt="a red xylograph apple")
    assert read.notes == ("not understood: xylograph",)
    assert torch.equal(read.pixels, painted(family, prompt="a red apple").pixels)
    long = painted(family, prompt="red apple " * 20 + "dog")
    assert long.notes[-1].startswith("beyond the 32 tokens that are read: ")
    assert long.notes[-1].endswith("dog")
    assert painted(family, prompt="red apple").notes == ()


def input_image() -> Image:
    return Image(torch.rand(3, 40, 40, generator=torch.Generator().manual_seed(5)))


def test_only_what_the_mask_shows_is_repainted(family: LatentDiffusion) -> None:
    mask = torch.zeros(1, 40, 40)
    mask[:, :, 20:] = 1
    asked = {"init_image": "ab" * 32, "mask": "cd" * 32, "strength": 1.0, "prompt": "dog"}
    inputs = {"init_image": input_image(), "mask": Image(mask)}
    result = painted(family, inputs=inputs, **asked).pixels
    small = torch.nn.functional.interpolate(
        input_image().pixels[None], (32, 32), mode="bilinear", antialias=True, align_corners=False
    )[0]
    assert torch.equal(result[:, :, :15], small[:, :, :15])
    assert not torch.allclose(result[:, :, 17:], small[:, :, 17:], atol=0.05)


def test_a_mask_repaints_unless_a_strength_is_given(family: LatentDiffusion) -> None:
    mask = torch.ones(1, 40, 40)
    asked = {"init_image": "ab" * 32, "mask": "cd" * 32, "prompt": "dog"}
    inputs = {"init_image": input_image(), "mask": Image(mask)}
    repainted, whole, half = (
        painted(family, inputs=inputs, **asked, **strength).pixels
        for strength in ({}, {"strength": 1.0}, {"strength": 0.5})
    )
    assert torch.equal(repainted, whole)
    assert not torch.equal(repainted, half)
    without = TextToImageParams(prompt="dog", init_image="ab" * 32)
    assert without.used_strength == 0.5


def test_no_strength_gives_the_picture_as_the_autoencoder_has_it(family: LatentDiffusion) -> None:
    asked = {"init_image": "ab" * 32, "strength": 0.0, "prompt": "dog"}
    inputs = {"init_image": Image(input_image().pixels[:, :32, :32])}
    result = painted(family, inputs=inputs, **asked).pixels
    with torch.no_grad():
        back = family.autoencoder(inputs["init_image"].pixels[None] * 2 - 1)[0]
    assert torch.allclose(result, (back + 1) / 2, atol=1e-5)


def test_a_larger_picture_is_the_same_picture(family: LatentDiffusion) -> None:
    small = painted(family, prompt="dog").pixels
    large = painted(family, prompt="dog", upscale=4).pixels
    assert large.shape == (3, 128, 128)
    with torch.no_grad():
        upscale = family.upscaler.run
        assert upscale is not None
        again = (upscale.fn(small.clamp(0, 1)[None] * 2 - 1)[0] + 1) / 2
    assert torch.allclose(large, again, atol=1e-5)


def test_requests_of_all_kinds_share_their_batches(family: LatentDiffusion) -> None:
    """Samplers, step counts, guidance, styles: the U-Net's calls are as few as they can be."""
    calls = 0
    net = family.unet.forward

    def counted(*args: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return net(*args)

    asked: list[dict[str, object]] = [
        {"steps": 4, "sampler": "ddim", "guidance_scale": 2.0},
        {"steps": 4, "sampler": "dpmpp_2m", "guidance_scale": 5.0, "style": "round"},
        {"steps": 4, "sampler": "euler", "negative_prompt": "dog"},
        {"steps": 4, "sampler": "ddpm", "guidance_scale": 1.0},
    ]
    engine = Engine(CPU, clock=lambda: 0.0)  # no batch is cut short for the time it takes
    family.unet.forward = counted  # type: ignore[assignment]
    try:
        for seed, more in enumerate(asked):
            params = TextToImageParams.model_validate({"prompt": "red apple", **more})
            engine.add(seed, family.generate(params, seeded(seed)))
        ends = 0
        while len(engine):
            ends += sum(isinstance(event, Finished) for event in engine.tick())
    finally:
        family.unet.forward = net  # type: ignore[method-assign]
    assert ends == 4
    assert calls == 4  # seven rows a step, of which twelve fit in a batch


def test_a_part_that_is_missing_or_another_is_refused(path: Path, tmp_path: Path) -> None:
    checkpoint = load(path)
    alone = tmp_path / "alone.safetensors"
    save(alone, checkpoint.header, checkpoint.tensors)
    with pytest.raises(CheckpointError, match="needs the part tiny-clip, which is not there"):
        load(alone)
    other = {
        k: t + 1 if t.is_floating_point() else t
        for k, t in checkpoint.requires["clip"].tensors.items()
    }
    save(tmp_path / COMPONENTS / "tiny-clip.safetensors", checkpoint.requires["clip"].header, other)
    with pytest.raises(CheckpointError, match="another tiny-clip"):
        load(alone)


def test_the_card_of_a_part_may_change(path: Path, tmp_path: Path) -> None:
    checkpoint = load(path)
    save(tmp_path / "same.safetensors", checkpoint.header, checkpoint.tensors)
    for need, component in zip(
        checkpoint.header.requires.values(), checkpoint.requires.values(), strict=True
    ):
        card = component.header.model_copy(update={"quality": {"measured": 1}})
        save(tmp_path / COMPONENTS / f"{need.id}.safetensors", card, component.tensors)
        assert weights_sha256(component.tensors) == need.weights
    assert load(tmp_path / "same.safetensors").requires.keys() == {"clip", "upscaler"}


def test_a_clip_whose_words_do_not_fit_is_refused(path: Path) -> None:
    checkpoint = load(path).requires["clip"]
    for broken in ({}, {"words.kept": checkpoint.tensors["words.kept"][:-1]}):
        tensors = {k: t for k, t in checkpoint.tensors.items() if not k.startswith("words.")} | (
            {**checkpoint.tensors, **broken} if broken else {}
        )
        with pytest.raises(CheckpointError, match="words"):
            CLIP(
                type(checkpoint)(Header(family="clip", net=checkpoint.header.net), tensors, ""),
                Placement(CPU),
            )
    assert set(WORDS) <= CLIP(checkpoint, Placement(CPU)).tokenizer.known


def test_a_led_step_never_tells_less_progress_than_the_one_before(family: LatentDiffusion) -> None:
    asked = {"prompt": "dog", "steps": 4, "clip_guidance_scale": 9.0, "clip_guidance_every": 2}
    params = TextToImageParams.model_validate(asked)
    engine, seen = Engine(CPU), []
    engine.add("x", family.generate(params, seeded(1)))
    while len(engine):
        seen += [e.progress for e in engine.tick() if isinstance(e, Advanced)]
    assert seen == sorted(seen)
    assert seen[-1] == (6, 6)
    assert len(seen) == 2 + 2 * 4 + 2 + 1  # both texts, guided steps, two leads, the picture
