"""A tiny checkpoint of every family, for tests: random weights, real files."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from models.batching import Place
from models.checkpoint import load, save
from models.families import FAMILIES
from models.flow import Family
from models.header import Header
from models.nets.conv_vae import ConvVAE
from models.nets.dcgan import Generator
from models.params import Params

NETS: dict[str, tuple[Callable[..., nn.Module], dict[str, int]]] = {
    "vae": (ConvVAE, {"size": 28, "channels": 1, "width": 8, "latent": 8}),
    "dcgan": (Generator, {"latent": 16, "width": 8, "channels": 3, "size": 32}),
}

PARAMS: dict[str, list[dict[str, object]]] = {
    "vae": [{}, {"temperature": 0.5}],
    "dcgan": [{}, {"truncation": 0.7}],
}


def tiny_checkpoint(folder: Path, family: str, seed: int = 0) -> Path:
    """A file of this family in a folder; other seeds give other weights."""
    make, config = NETS[family]
    torch.manual_seed(seed)
    path = folder / f"tiny-{family}.safetensors"
    save(path, Header(family=family, net=dict(config)), make(**config).state_dict())
    return path


def load_family(path: Path) -> Family[Params]:
    """The model of a checkpoint, on the CPU."""
    checkpoint = load(path)
    return FAMILIES[checkpoint.header.family].load(checkpoint, Place(torch.device("cpu")))
