"""The weights of one part of a diffusers folder: whole or in shards, in any of the usual files."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor

from models.checkpoint.header import CheckpointError
from models.checkpoint.safetensors_table import not_weights
from models.checkpoint.weights import read_foreign

STEMS = {
    "safetensors": ("diffusion_pytorch_model", "model"),
    "bin": ("diffusion_pytorch_model", "pytorch_model"),
}
"""Names of files of weights, those that can't hold code first."""
VARIANTS = ("", "fp16", "non_ema")  # what there is besides, where there is nothing else
OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
ATTENTION = re.compile(r"(\.attentions\.\d+)\.(query|key|value|proj_attn)\.")
NO_WEIGHT = "embeddings.position_ids"  # of a text encoder: older versions wrote it all the same


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The tensors of a part, by the names of today. Raises CheckpointError."""
    path = next((path for path in _candidates(folder) if path.is_file()), None)
    if path is None:
        raise CheckpointError(f"{folder.name} has no weights: {_first(folder).name} is missing")
    files = _shards(folder, path) if path.suffix == ".json" else [path]
    tensors: dict[str, Tensor] = {}
    for file in files:
        try:
            tensors |= read_foreign(file)
        except CheckpointError as error:
            raise CheckpointError(f"{folder.name}/{error}") from None
    named = {_name_of_today(name): tensor for name, tensor in tensors.items()}
    named.pop(NO_WEIGHT, None)
    return named


def _candidates(folder: Path) -> Iterator[Path]:
    """Where weights may lie, the best place first."""
    for kind, stems in STEMS.items():
        for variant in VARIANTS:
            infix = f".{variant}" if variant else ""
            for stem in stems:
                yield folder / f"{stem}{infix}.{kind}"
                yield folder / f"{stem}.{kind}.index{infix}.json"


def _first(folder: Path) -> Path:
    stem = STEMS["safetensors"][folder.name == "text_encoder"]
    return folder / f"{stem}.safetensors"


def _shards(folder: Path, index: Path) -> list[Path]:
    """The files that an index names, each once."""
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{folder.name}/{index.name} names no files")
    files = []
    for name in sorted({str(value) for value in weight_map.values()}):
        if Path(name).name != name:
            raise CheckpointError(f"{folder.name}/{index.name} names a file elsewhere: {name}")
        if not (folder / name).is_file():
            raise CheckpointError(f"{folder.name}/{name} is missing")
        files.append(folder / name)
    return files


def _name_of_today(name: str) -> str:
    """Tensors that earlier versions of transformers and diffusers called otherwise."""
    name = ATTENTION.sub(lambda match: f"{match[1]}.{OLD_ATTENTION[match[2]]}.", name)
    return name.removeprefix("text_model.")


def read_json(path: Path) -> dict[str, Any]:
    """A file that holds an object. Raises CheckpointError, and names it with its folder."""
    name = f"{path.parent.name}/{path.name}"
    try:
        text = path.read_text("utf-8-sig")
        value = None if not_weights(text[:64].encode()) else json.loads(text)
    except FileNotFoundError:
        raise CheckpointError(f"{name} is missing") from None
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{name} can't be read: {error}") from None
    if kind := not_weights(text[:64].encode()):
        raise CheckpointError(f"{name} can't be read: it is {kind}")
    if not isinstance(value, dict):
        raise CheckpointError(f"{name} holds no object")
    return value
