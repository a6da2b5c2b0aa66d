"""A text encoder's folder, as sentence-transformers has it, to one checkpoint.

The checkpoint holds the weights and the tokenizer, so a job pins both by one hash. Neither
sentence-transformers nor transformers is needed for it.
"""

import json
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from models.checkpoint.header import CheckpointError, Header
from models.checkpoint.weights import Checkpoint
from models.embedding.sentence_encoder import TOKENIZER, SentenceEncoder
from models.engine.batching import Placement

STEPS = ("Transformer", "Pooling", "Normalize")
"""The classes of its steps: the net, the mean of its states, and a length of 1."""
MEAN = "pooling_mode_mean_tokens"
UNUSED = ("pooler.", "embeddings.position_ids", "cls.")
"""Tensors that the mean of the states does not need."""
LAYER = {
    "attention.output.dense": "out",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "expand",
    "output.dense": "reduce",
    "output.LayerNorm": "norm",
}
"""The modules of a layer by their names in transformers, and what they are here."""
NEEDED: Mapping[str, Any] = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
}
USUAL = {"position_embedding_type": "absolute"}
"""What a configuration means that does not say."""
LIMITS = (
    "It compares meanings within what it has read of; it knows no facts. Longer texts are refused: "
    "split them into passages."
)


def read_sentence_transformer(
    folder: Path, card: Mapping[str, Any]
) -> tuple[Header, dict[str, Tensor]]:
    """The header and the tensors of a model. Raises CheckpointError, which says what is wrong."""
    config = _json(folder / "config.json")
    _check_steps(folder)
    for name, needed in NEEDED.items():
        value = config.get(name, USUAL.get(name))
        if value != needed:
            raise CheckpointError(f"its {name} must be {needed}, not {value}")
    try:
        weights = load_file(folder / "model.safetensors")
        tensors = dict(_tensors(weights, int(config["num_hidden_layers"])))
        tokenizer = (folder / "tokenizer.json").read_bytes()
    except FileNotFoundError as error:
        raise CheckpointError(f"{folder.name} has no {Path(str(error.filename)).name}") from None
    except SafetensorError as error:
        raise CheckpointError(f"model.safetensors can't be read: {error}") from None
    except KeyError as error:
        raise CheckpointError(f"{folder.name} lacks {error.args[0]}") from None
    tensors[TOKENIZER] = torch.tensor(list(tokenizer), dtype=torch.uint8)
    header = _header(config, _context(folder, config), card)
    SentenceEncoder(Checkpoint(header, tensors, ""), Placement(torch.device("cpu")))  # it fits
    return header, tensors


def _header(config: Mapping[str, Any], context: int, card: Mapping[str, Any]) -> Header:
    names = {
        "vocabulary": "vocab_size",
        "dimensions": "hidden_size",
        "layers": "num_hidden_layers",
        "heads": "num_attention_heads",
        "inner": "intermediate_size",
        "positions": "max_position_embeddings",
        "eps": "layer_norm_eps",
    }
    return Header.model_validate(
        {
            "family": "embedding",
            "net": {ours: config.get(theirs) for ours, theirs in names.items()},
            "process": {"context": context},
            "versions": {name: version(name) for name in ("tokenizers", "torch")},
            "limitations": LIMITS,
            **card,
        }
    )


def _json(path: Path) -> Any:
    """Raises CheckpointError where a file is missing, or no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path.parent.name} has no {path.name}") from None
    except ValueError as error:
        raise CheckpointError(f"{path.name} can't be read: {error}") from None


def _check_steps(folder: Path) -> None:
    """Raises CheckpointError where vectors come about in another way than by STEPS."""
    steps = _json(folder / "modules.json")
    kinds = tuple(str(step["type"]).rpartition(".")[2] for step in steps)
    if kinds != STEPS:
        raise CheckpointError(f"its steps must be {', '.join(STEPS)}, not {', '.join(kinds)}")
    pooling = _json(folder / steps[1]["path"] / "config.json")
    modes = [name for name, value in pooling.items() if name.startswith("pooling_") and value]
    if modes != [MEAN]:
        raise CheckpointError(f"its pooling must be {MEAN}, not {', '.join(modes) or 'none'}")


def _context(folder: Path, config: Mapping[str, Any]) -> int:
    """Tokens that it reads of a text: as many as it was made for, or as its net has positions."""
    path = folder / "sentence_bert_config.json"
    context = _json(path).get("max_seq_length") if path.is_file() else None
    positions = config.get("max_position_embeddings")
    context = positions if context is None else context
    if not isinstance(context, int):
        raise CheckpointError("it does not say how long a text it reads")
    return context


def _tensors(weights: Mapping[str, Tensor], layers: int) -> Iterator[tuple[str, Tensor]]:
    """Yields the tensors of a BertEncoder by their names. Raises KeyError for what is missing, and
    CheckpointError for what is too much."""
    left = {name.removeprefix("bert."): tensor.float() for name, tensor in weights.items()}
    left = {name: tensor for name, tensor in left.items() if not name.startswith(UNUSED)}
    yield "tokens.weight", left.pop("embeddings.word_embeddings.weight")
    segments = left.pop("embeddings.token_type_embeddings.weight")
    yield "positions.weight", left.pop("embeddings.position_embeddings.weight") + segments[0]
    for kind in ("weight", "bias"):
        yield f"norm.{kind}", left.pop(f"embeddings.LayerNorm.{kind}")
        for index in range(layers):
            theirs, ours = f"encoder.layer.{index}", f"layers.{index}"
            names = [f"{theirs}.attention.self.{x}.{kind}" for x in ("query", "key", "value")]
            yield f"{ours}.qkv.{kind}", torch.cat([left.pop(name) for name in names])
            for name, module in LAYER.items():
                yield f"{ours}.{module}.{kind}", left.pop(f"{theirs}.{name}.{kind}")
    if left:
        raise CheckpointError(f"it has an unknown tensor {min(left)}")
