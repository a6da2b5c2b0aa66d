"""A tiny checkpoint of every family, for tests: random weights, real files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pydantic import JsonValue
from torch import nn

from models.checkpoint.header import COMPONENTS, Header, Requirement
from models.checkpoint.weights import load, save, weights_sha256
from models.clip.tokenizer import WordTokenizer
from models.diffusion.attach_clip import attach_clip
from models.engine.batching import Placement
from models.engine.flow import Family
from models.families import FAMILIES
from models.image.directions import DIRECTIONS
from models.music.composition import facts_of
from models.music.tokenizer import MusicTokens
from models.nets.autoencoder import Autoencoder
from models.nets.clip import build_clip
from models.nets.composer import ComposerModel
from models.nets.gan import generator_of
from models.nets.mixture import PrincipalMixture
from models.nets.unet import Guess, UNet
from models.nets.upscaler import Upscaler
from models.nets.vae import VAENet
from models.nets.video_gan import VideoGenerator
from models.nets.video_unet import VideoUNet
from models.nets.wavenet import WaveNetModel
from models.params.base import Params
from tests.models import stable, tiny_embedding, tiny_language

UNET = {"size": 16, "patch": 2, "widths": [8, 16], "blocks": 1, "attention": [4]}

WORDS = ["a", "red", "green", "apple", "dog", "in", "rocket", "，", "红", "苹", "果"]
ROWS = 521
CLIP: dict[str, JsonValue] = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "head_width": 32},
    "text_cfg": {"context_length": 32, "vocab_size": ROWS, "width": 16, "heads": 2, "layers": 1},
}
LATENT: dict[str, JsonValue] = {
    "unet": {
        "size": 8,
        "channels": 4,
        "patch": 1,
        "widths": [8, 16],
        "blocks": 1,
        "attention": [4],
        "classes": 2,
        "told": 16,
        "pooled": 16,
        "guess": 24,
    },
    "autoencoder": {"size": 32, "channels": 3, "latent": 4, "patch": 2, "widths": [8, 8]},
}
GUESS: dict[str, JsonValue] = {
    "told": 16,
    "classes": 2,
    "width": 24,
    "channels": 4,
    "size": 8,
}
VIDEO_GAN: dict[str, JsonValue] = {
    "latent": 20,
    "text_dim": 16,
    "hidden": 4,
    "width": 34,
    "frames": 8,
    "channels": 4,
    "size": 8,
    "style": 1,
}
VIDEO: dict[str, JsonValue] = {
    "frames": 16,
    "size": 32,
    "unet": {k: v for k, v in LATENT["unet"].items() if k != "guess"},  # type: ignore[union-attr]
}
STYLES = ["jazz", "folk"]
COMPOSER: dict[str, JsonValue] = {
    "vocabulary": MusicTokens(STYLES).size,
    "facts": list(facts_of(MusicTokens(STYLES))),
    "layers": 2,
    "width": 16,
    "heads": 2,
    "groups": 1,
    "inner": 24,
    "window": 24,
}
WAVENET: dict[str, JsonValue] = {
    "blocks": 2,
    "layers": 4,
    "residual": 6,
    "gate": 5,
    "skip": 10,
    "classes": 32,
    "styles": 2,
    "pitches": 31,
    "hop": 100,
    "around": 1,
    "width": 8,
}


class Moving(nn.Module):
    """The net of a video diffusion model, as its checkpoint has it."""

    def __init__(self, frames: int, size: int, unet: dict[str, Any]) -> None:
        super().__init__()
        self.unet = VideoUNet(**unet)


class Latent(nn.Module):
    """The nets of a latent diffusion model, side by side as its checkpoint has them."""

    def __init__(self, unet: dict[str, Any], autoencoder: dict[str, Any]) -> None:
        super().__init__()
        self.unet, self.autoencoder = UNet(**unet), Autoencoder(**autoencoder)


NETS: dict[str, tuple[Callable[..., nn.Module], dict[str, JsonValue]]] = {
    "mixture": (PrincipalMixture, {"components": 3, "latent": 4, "size": 8}),
    "vae": (VAENet, {"size": 28, "width": 8, "latent": 8, "components": 3, "attributes": 2}),
    "gan": (generator_of, {"kind": "conv", "latent": 8, "width": 4, "size": 12, "classes": 3}),
    "diffusion": (UNet, {**UNET, "classes": 3}),
    "latent_diffusion": (Latent, LATENT),
    "stable_diffusion": (stable.Stable, stable.NET),
    "video_gan": (VideoGenerator, VIDEO_GAN),
    "video_diffusion": (Moving, VIDEO),
    "composer": (ComposerModel, COMPOSER),
    "wavenet": (WaveNetModel, WAVENET),
    "language": (tiny_language.Writer, tiny_language.NET),
    "embedding": (tiny_embedding.Reader, tiny_embedding.NET),
}
HEADERS: dict[str, dict[str, object]] = {
    "vae": {"attributes": ["bright", "wide"]},
    "gan": {"labels": ["shirt", "shoe", "bag"], "attributes": ["happy", "red"]},
    "diffusion": {
        "labels": ["shirt", "shoe", "bag"],
        "process": {"schedule": "cosine", "prediction": "v", "guidance": 2.0},
    },
    "latent_diffusion": {
        "labels": ["flat", "round"],
        "process": {"schedule": "cosine", "prediction": "v", "clip": False, "guidance": 2.0},
    },
    "stable_diffusion": {
        "process": stable.PROCESS,
        "defaults": {"width": 64, "height": 64, "steps": 30},
        "limits": {"width": [16, 128], "height": [16, 128], "steps": [1, 999]},
    },
    "video_gan": {"defaults": {"frames": 8}, "limits": {"frames": [8, 8]}},
    "video_diffusion": {
        "labels": ["flat", "round"],
        "process": {
            "schedule": "cosine",
            "prediction": "v",
            "clip": False,
            "guidance": 2.0,
            "shared": 0.5,
        },
    },
    "composer": {"labels": STYLES},
    "wavenet": {
        "labels": STYLES,
        "process": {"rate": 8000, "gain": 0.5, "pitches": [60, 71]},
    },
    "language": {"defaults": {"max_tokens": 40}, "limits": {"max_tokens": [1, 999]}},
    "embedding": {"process": tiny_embedding.PROCESS},
}

PARAMS: dict[str, list[dict[str, object]]] = {
    "mixture": [{}, {"temperature": 0.5}, {"interpolate": {"to_seed": 3, "frames": 3}}],
    "vae": [{}, {"temperature": 0.5}, {"interpolate": {"to_seed": 3, "frames": 3}}],
    "gan": [{}, {"truncation": 0.2}, {"interpolate": {"to_seed": 3, "frames": 3}}],
    "diffusion": [
        {"steps": 3},
        {"steps": 5, "eta": 1.0},
        {"steps": 3, "sampler": "heun"},
        {"steps": 4, "sampler": "ddpm"},
        {"steps": 6, "sampler": "dpmpp_2m"},
        {"steps": 2, "sampler": "euler", "interpolate": {"to_seed": 3, "frames": 3}},
    ],
    "latent_diffusion": [
        {"prompt": "a red apple", "steps": 3},
        {"prompt": "a green apple", "steps": 3},
        {"prompt": "a red apple", "steps": 4, "negative_prompt": "dog", "sampler": "dpmpp_2m"},
        {"prompt": "a red apple", "steps": 3, "guidance_scale": 0.0},
        {"prompt": "a dog", "steps": 3, "guidance_scale": 1.0, "sampler": "heun"},
        {"prompt": "a red apple " * 5, "steps": 3, "eta": 1.0},
        {"prompt": "a dog", "steps": 2, "interpolate": {"to_seed": 3, "frames": 3}},
    ],
    "stable_diffusion": [
        {"prompt": "a red apple", "steps": 3},
        {"prompt": "a red apple", "steps": 3, "width": 32, "height": 48},
        {"prompt": "a red apple", "steps": 4, "negative_prompt": "dog", "sampler": "dpmpp_2m"},
        {"prompt": "dog", "steps": 3, "guidance_scale": 1.0, "sampler": "heun"},
        {"prompt": "dog", "steps": 2, "eta": 1.0, "width": 32, "height": 48},
        {"prompt": "red", "steps": 2, "interpolate": {"to_seed": 3, "frames": 3}, "width": 32},
    ],
    "video_gan": [
        {"prompt": "a red apple", "frames": 8},
        {"prompt": "a dog", "truncation": 0.2, "fps": 12.0, "frames": 8},
    ],
    "video_diffusion": [
        {"prompt": "a red apple", "steps": 2, "frames": 3},
        {"prompt": "a dog", "steps": 2, "frames": 2},
        {"prompt": "a dog", "steps": 3, "frames": 3, "negative_prompt": "red"},
        {"prompt": "dog", "steps": 2, "guidance_scale": 1.0, "sampler": "heun", "frames": 3},
        {"prompt": "a red apple " * 5, "steps": 2, "frames": 3, "sampler": "euler"},
        {"prompt": "dog", "steps": 4, "frames": 2, "guidance_scale": 0.0, "sampler": "dpmpp_2m"},
    ],
    "composer": [
        {"seconds": 2.0},
        {"seconds": 3.0},
        {"seconds": 2.0, "style": "folk", "temperature": 0.5},
        {"seconds": 2.0, "top_p": 0.5},
        {"seconds": 2.0, "key": "F# minor", "tempo": 90.5},
    ],
    "wavenet": [
        {"seconds": 0.1},
        {"seconds": 0.2},
        {"seconds": 0.1, "temperature": 0.5},
        {"seconds": 0.1, "top_p": 0.5},
    ],
    "language": tiny_language.PARAMS,
    "embedding": tiny_embedding.PARAMS,
}
"""What every checkpoint of a family takes."""
ABLE: dict[str, list[dict[str, object]]] = {
    "vae": [{"prior": "mixture"}, {"attributes": {"bright": 1.5}}],
    "gan": [{"class_label": "bag"}, {"attributes": {"red": 1.5}}],
    "diffusion": [
        {"steps": 3, "class_label": "shoe"},
        {"steps": 3, "class_label": "bag", "guidance_scale": 1.0},
        {"steps": 4, "class_label": "bag", "guidance_scale": 7.5, "sampler": "dpmpp_2m"},
    ],
    "latent_diffusion": [
        {"prompt": "a red apple", "steps": 3, "style": "round"},
        {"prompt": "a red apple", "steps": 3, "clip_guidance_scale": 50.0},
        {"prompt": "dog", "steps": 4, "clip_guidance_scale": 50.0, "clip_guidance_every": 3},
        {"prompt": "a red apple", "steps": 2, "upscale": 4},
    ],
    "video_gan": [{"prompt": "dog", "upscale": 4, "frames": 8}],
    "video_diffusion": [
        {"prompt": "a red apple", "steps": 3},
        {"prompt": "a red apple", "steps": 2, "style": "round"},
        {"prompt": "dog", "steps": 2, "upscale": 4, "frames": 2},
    ],
    "wavenet": [
        {"seconds": 0.1, "style": "jazz"},
        {"seconds": 0.1, "unconditioned": True},
    ],
}
"""What only some do: those with labels, attributes or a prior, as the tiny ones have."""


DIRECTED = {"gan": 8}
"""The width of the directions that a checkpoint has beside its nets."""

NEEDS = {
    "latent_diffusion": ("clip", "upscaler"),
    "video_gan": ("clip", "upscaler", "guess", "autoencoder"),
    "video_diffusion": ("clip", "upscaler", "guess", "autoencoder"),
}
"""The parts that a family works with, by their roles."""

GUIDE_CLIP: dict[str, JsonValue] = {
    "embed_dim": 8,
    "vision_cfg": {"image_size": 16, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8},
    "text_cfg": {"context_length": 8, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1},
}
GUIDED: dict[str, list[dict[str, object]]] = {
    "diffusion": [
        {"prompt": "a dog", "steps": 3, "sampler": "ddpm"},
        {"prompt": "a dog", "steps": 3},
        {"prompt": "apple", "steps": 4, "clip_guidance_scale": 50.0, "clip_guidance_every": 2},
        {"prompt": "a dog", "steps": 2, "sampler": "heun", "class_label": "bag"},
        {"prompt": "a dog", "steps": 2, "interpolate": {"to_seed": 3, "frames": 3}},
        {"steps": 3},
    ],
    "latent_diffusion": [
        {"prompt": "red", "steps": 2, "clip_guidance_scale": 50.0, "guidance_scale": 0.0},
        {"prompt": "dog", "steps": 2, "clip_guidance_scale": 50.0},
        {"prompt": "dog", "steps": 3, "clip_guidance_scale": 50.0, "clip_guidance_every": 2},
        {"prompt": "dog", "steps": 2},
    ],
    "stable_diffusion": [
        {"prompt": "red", "steps": 2, "clip_guidance_scale": 50.0, "guidance_scale": 0.0},
        {"prompt": "dog", "steps": 2, "clip_guidance_scale": 50.0, "width": 32, "height": 48},
        {"prompt": "dog", "steps": 3, "clip_guidance_scale": 50.0, "clip_guidance_every": 2},
        {"prompt": "dog", "steps": 2, "guidance_scale": 1.0},
    ],
}
"""What a checkpoint takes that a CLIP leads which reads nothing for it."""


COMPOSING: dict[str, list[dict[str, object]]] = {
    "wavenet": [
        {"seconds": 0.2},
        {"seconds": 0.3, "style": "folk"},
        {"seconds": 0.2, "tempo": 200, "key": "A minor", "style": "folk"},
        {"seconds": 0.2, "unconditioned": True},
    ],
}
"""What a checkpoint takes that a composer works for."""


def tiny_composing(folder: Path, family: str) -> Path:
    """The tiny checkpoint of a family that plays scores, with a composer beside it."""
    path, composer = tiny_checkpoint(folder, family), tiny_checkpoint(folder, "composer")
    (folder / COMPONENTS).mkdir(exist_ok=True)
    composer.rename(folder / COMPONENTS / composer.name)
    checkpoint = load(path)
    component = load(folder / COMPONENTS / composer.name)
    need = Requirement(id=composer.stem, weights=weights_sha256(component.tensors))
    save(
        path,
        checkpoint.header.model_copy(update={"requires": {"composer": need}}),
        checkpoint.tensors,
    )
    return path


def tiny_guided(folder: Path, family: str) -> Path:
    """The tiny checkpoint of a diffusion family, led by a CLIP that knows every word."""
    path = tiny_checkpoint(folder, family)
    tensors = build_clip(**GUIDE_CLIP).state_dict()
    process: dict[str, JsonValue] = {"words": "all", "mean": [0.4, 0.5, 0.6], "std": [0.2] * 3}
    card = Header(family="clip", net=GUIDE_CLIP, process=process)
    save(folder / COMPONENTS / "tiny-leader.safetensors", card, tensors)
    return attach_clip(folder, path.stem, "tiny-leader")


def tiny_checkpoint(folder: Path, family: str, seed: int = 0) -> Path:
    """A file of this family in a folder; other seeds give other weights."""
    make, config = NETS[family]
    torch.manual_seed(seed)
    path = folder / f"tiny-{family}.safetensors"
    net = make(**config)
    with torch.no_grad():
        for parameter in net.parameters():  # no part is silent, as some begin
            parameter.add_(torch.randn_like(parameter) * 0.05)
    facts = {"family": family, "net": config, **HEADERS.get(family, {})}
    if family in NEEDS:
        parts = tiny_parts(folder)
        facts["needs"] = {role: parts[role] for role in NEEDS[family]}
    tensors = net.state_dict()
    if family in DIRECTED:
        rng = torch.Generator().manual_seed(seed)
        count = len(facts["attributes"])  # type: ignore[arg-type]
        tensors[DIRECTIONS] = torch.randn(count, DIRECTED[family], generator=rng)
    save(path, Header.model_validate(facts), tensors)
    return path


def tiny_parts(folder: Path) -> dict[str, Requirement]:
    """Every part that a family needs in the folder's parts, and what a header says of them."""
    torch.manual_seed(0)  # the same for every family
    net = build_clip(**CLIP).eval()
    tokenizer = WordTokenizer.of(WORDS, ROWS)
    upscaler: dict[str, JsonValue] = {"width": 8, "blocks": 1}
    coder: dict[str, Any] = LATENT["autoencoder"]  # type: ignore[assignment]
    parts = {
        "clip": (CLIP, net.state_dict() | tokenizer.tensors()),
        "upscaler": (upscaler, Upscaler(width=8, blocks=1).state_dict()),
        "guess": (GUESS, Guess(**GUESS).state_dict()),  # type: ignore[arg-type]
        "autoencoder": (coder, Autoencoder(**coder).state_dict()),
    }
    needs = {}
    for role, (config, tensors) in parts.items():
        name = f"tiny-{role}"
        save(folder / COMPONENTS / f"{name}.safetensors", Header(family=role, net=config), tensors)
        needs[role] = Requirement(id=name, weights=weights_sha256(tensors))
    return needs


def load_family(path: Path) -> Family[Params]:
    """The model of a checkpoint, on the CPU."""
    checkpoint = load(path)
    return FAMILIES[checkpoint.header.family].load(checkpoint, Placement(torch.device("cpu")))
