"""A tiny checkpoint of every family, for tests: random weights, real files."""

from collections.abc import Callable
from pathlib import Path

import torch
from pydantic import JsonValue
from torch import nn

from models.batching import Place
from models.checkpoint import load, save
from models.families import FAMILIES
from models.flow import Family
from models.header import Header
from models.nets.gan import generator_of
from models.nets.mixture import PrincipalMixture
from models.nets.unet import UNet
from models.nets.vae import VAENet
from models.params import Params

UNET = {"size": 16, "patch": 2, "widths": [8, 16], "blocks": 1, "attention": [4]}

NETS: dict[str, tuple[Callable[..., nn.Module], dict[str, JsonValue]]] = {
    "mixture": (PrincipalMixture, {"components": 3, "latent": 4, "size": 8}),
    "vae": (VAENet, {"size": 28, "width": 8, "latent": 8, "components": 3, "attributes": 2}),
    "gan": (generator_of, {"kind": "conv", "latent": 8, "width": 4, "size": 12, "classes": 3}),
    "diffusion": (UNet, {**UNET, "classes": 3}),
}
HEADERS: dict[str, dict[str, object]] = {
    "vae": {"attributes": ["bright", "wide"]},
    "gan": {"labels": ["shirt", "shoe", "bag"]},
    "diffusion": {
        "labels": ["shirt", "shoe", "bag"],
        "process": {"schedule": "cosine", "prediction": "v", "guidance": 2.0},
    },
}

PARAMS: dict[str, list[dict[str, object]]] = {
    "mixture": [{}, {"temperature": 0.5}, {"interpolate": {"to_seed": 3, "frames": 3}}],
    "vae": [{}, {"temperature": 0.5}, {"interpolate": {"to_seed": 3, "frames": 3}}],
    "gan": [{}, {"truncation": 0.7}, {"interpolate": {"to_seed": 3, "frames": 3}}],
    "diffusion": [
        {"steps": 3},
        {"steps": 5, "eta": 1.0},
        {"steps": 3, "sampler": "heun"},
        {"steps": 4, "sampler": "ddpm"},
        {"steps": 6, "sampler": "dpmpp_2m"},
        {"steps": 2, "sampler": "euler", "interpolate": {"to_seed": 3, "frames": 3}},
    ],
}
"""What every checkpoint of a family takes."""
ABLE: dict[str, list[dict[str, object]]] = {
    "vae": [{"prior": "mixture"}, {"attributes": {"bright": 1.5}}],
    "gan": [{"class_label": "bag"}],
    "diffusion": [
        {"steps": 3, "class_label": "shoe"},
        {"steps": 3, "class_label": "bag", "guidance_scale": 1.0},
        {"steps": 4, "class_label": "bag", "guidance_scale": 7.5, "sampler": "dpmpp_2m"},
    ],
}
"""What only some do: those with labels, attributes or a prior, as the tiny ones have."""


def tiny_checkpoint(folder: Path, family: str, seed: int = 0) -> Path:
    """A file of this family in a folder; other seeds give other weights."""
    make, config = NETS[family]
    torch.manual_seed(seed)
    path = folder / f"tiny-{family}.safetensors"
    net = make(**config)
    with torch.no_grad():
        for parameter in net.parameters():  # no part is silent, as some begin
            parameter.add_(torch.randn_like(parameter) * 0.05)
    header = Header.model_validate({"family": family, "net": config, **HEADERS.get(family, {})})
    save(path, header, net.state_dict())
    return path


def load_family(path: Path) -> Family[Params]:
    """The model of a checkpoint, on the CPU."""
    checkpoint = load(path)
    return FAMILIES[checkpoint.header.family].load(checkpoint, Place(torch.device("cpu")))
