"""Foreign weights to checkpoints: a state dict, whose net is read off its shapes, or a folder."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import JsonValue
from torch import Tensor

from models.checkpoint.header import COMPONENTS, SUFFIX, CheckpointError, Header
from models.checkpoint.weights import Checkpoint, build_net, read_foreign, save
from models.convert.diffusers import read_folder
from models.convert.open_clip import OpenClipSource, read_open_clip
from models.convert.sentence_transformers import read_sentence_transformer
from models.engine.batching import Placement
from models.nets.dcgan import Generator
from models.nets.gan import generator_of
from models.registry import ID

Card = Mapping[str, Any]
"""What stands in a header besides what is read off the weights: title, licence."""


def import_weights(
    family: str, file: Path, key: str | None, folder: Path, name: str, card: Card
) -> Path:
    """Write `folder/name.safetensors` from a foreign file, or from a folder of such files.

    It is strict, as all loading is.

    Raises CheckpointError if the weights are not of this family, or the name is taken.
    """
    if family not in FOREIGN:
        known = ", ".join(FOREIGN)
        raise CheckpointError(f"weights of family {family!r} can't be imported; known: {known}")
    path = free_path(folder, name)
    header, tensors = FOREIGN[family](file, key, card)
    save(path, header, tensors)
    return path


def import_clip(source: OpenClipSource, folder: Path, name: str, replace: bool, card: Card) -> Path:
    """Write `folder/parts/name.safetensors` from a model of open_clip.

    Raises CheckpointError if it can't be had from these weights, or the name is taken and it is
    not to `replace` what has it.
    """
    path = free_path(folder / COMPONENTS, name, replace)
    header, tensors = read_open_clip(source, card)
    save(path, header, tensors)
    return path


def import_language(path: Path, context: int | None, folder: Path, name: str, card: Card) -> Path:
    """Write `folder/name.safetensors` from a transformers folder or a GGUF file.

    Raises CheckpointError if no language model can be had from it, or the name is taken.
    """
    from models.convert.language import (  # transformers takes seconds to load
        LanguageSource,
        read_language,
    )

    to = free_path(folder, name)
    header, tensors = read_language(LanguageSource(path, context), card)
    save(to, header, tensors)
    return to


def import_sentence_transformer(source: Path, folder: Path, name: str, card: Card) -> Path:
    """Write `folder/name.safetensors` from a text encoder's folder, as sentence-transformers has
    it.

    Raises CheckpointError if no text encoder can be had from it, or the name is taken.
    """
    path = free_path(folder, name)
    header, tensors = read_sentence_transformer(source, card)
    save(path, header, tensors)
    return path


def free_path(folder: Path, name: str, replace: bool = False) -> Path:
    """Where a checkpoint of this id goes. Raises CheckpointError if it is no id, or taken."""
    if not ID.fullmatch(name):
        raise CheckpointError(f"{name!r} is no id: it has a-z, 0-9, dots, dashes and underscores")
    path = folder / f"{name}{SUFFIX}"
    if path.exists() and not replace:
        raise CheckpointError(f"{path.name} is there already")
    return path


def _dcgan(file: Path, key: str | None, card: Card) -> tuple[Header, dict[str, Tensor]]:
    """The generator of the widespread DCGAN layout: transposed convolutions named main.N.weight."""
    if file.is_dir():
        raise CheckpointError(f"{file.name} is a folder; name the file of weights")
    weights = read_foreign(file, key)
    tensors = {name.removeprefix("module."): tensor for name, tensor in weights.items()}
    layers = [t for n, t in sorted(tensors.items(), key=_position) if n.endswith("weight")]
    layers = [t for t in layers if t.ndim == 4]
    if not layers:
        raise CheckpointError("these weights have no convolutions: not a DCGAN generator")
    net: dict[str, JsonValue] = {
        "kind": "dcgan",
        "latent": layers[0].shape[0],
        "width": layers[-1].shape[0],
        "channels": layers[-1].shape[1],
        "size": 2 ** (len(layers) + 1),
    }
    try:
        expected = Generator(**_whole(net)).state_dict()
    except (ValueError, RuntimeError) as error:
        raise CheckpointError(f"no DCGAN generator has such shapes: {error}") from None
    for name in expected.keys() - tensors.keys():
        if name.endswith("num_batches_tracked"):  # older files lack this count; it isn't used
            tensors[name] = torch.tensor(0)
    header = Header.model_validate({"family": "gan", "net": net, **card})
    build_net(generator_of, Checkpoint(header, tensors, ""), Placement(torch.device("cpu")))
    return header, tensors


def _whole(net: Mapping[str, JsonValue]) -> dict[str, int]:
    return {name: value for name, value in net.items() if isinstance(value, int)}


def _position(item: tuple[str, Tensor]) -> tuple[int, str]:
    parts = item[0].split(".")
    return (int(parts[1]) if len(parts) > 2 and parts[1].isdigit() else -1, item[0])


Read = Callable[[Path, str | None, Card], tuple[Header, dict[str, Tensor]]]
FOREIGN: dict[str, Read] = {"dcgan": _dcgan, "diffusers": read_folder}
