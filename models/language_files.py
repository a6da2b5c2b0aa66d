"""A language model's folder, as transformers has it, or a GGUF file, to one checkpoint.

The checkpoint holds the weights, the tokenizer and the chat template, so a job pins all of it by
one hash, and nothing of the source is needed afterwards. transformers takes seconds to load, so
this file is imported with the first such import.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from models.batching import Place
from models.checkpoint import Checkpoint
from models.header import CheckpointError, Header
from models.language import Language
from models.text_params import LONGEST_CONTEXT
from models.text_tokens import TENSOR, tensor_of

MODELS: Any = AutoModelForCausalLM  # neither has types
TOKENIZERS: Any = AutoTokenizer
MAGIC = b"GGUF"
CONTEXT = 2048  # tokens, if no other is asked for: each slot has room for as many
FEW = 400  # tokens to write, if it isn't said
MARKS = ("bos_token", "eos_token", "unk_token", "pad_token")
ORIGIN = {"transformers_version", "architectures", "dtype", "_name_or_path", "quantization_config"}
"""What a configuration says of where it came from, and not of the net."""
LIMITS = "It may be wrong, repeat itself or offend: nothing that it writes is filtered."


@dataclass(frozen=True)
class Source:
    """Where a language model comes from: a folder or a GGUF file."""

    path: Path
    context: int | None = None  # tokens of a text at most, if not as many as usual


def read_language(source: Source, card: Mapping[str, Any]) -> tuple[Header, dict[str, Tensor]]:
    """The header and the tensors of a model. Raises CheckpointError, which says what is wrong."""
    net, tokenizer = _opened(source.path)
    tied = net.all_tied_weights_keys
    tensors = {name: t for name, t in net.state_dict().items() if name not in tied}
    tensors[TENSOR] = tensor_of(tokenizer.backend_tokenizer.to_str())
    marks = {mark: str(x) for mark in MARKS if (x := tokenizer.special_tokens_map.get(mark))}
    words = {
        "chat_template": _template(tokenizer.chat_template),
        "ends": sorted(_ends(net, tokenizer, marks)),
        "marks": marks,
    }
    config = json.loads(net.config.to_json_string(use_diff=False))
    context = _context(source.context)

    def told(context: int) -> Header:
        return _header(config, words, context, card)

    made = Language(Checkpoint(told(context), tensors, ""), Place(torch.device("cpu")))
    most = made.pen.net.context  # as a worker will have it
    if source.context is not None and source.context > most:
        raise CheckpointError(f"its context may be between 2 and {most}, not {source.context}")
    return told(most), tensors


def _header(
    config: Mapping[str, Any], words: Mapping[str, Any], context: int, card: Mapping[str, Any]
) -> Header:
    return Header.model_validate(
        {
            "family": "language",
            "net": {
                "config": {k: v for k, v in config.items() if k not in ORIGIN},
                "words": words,
                "context": context,
            },
            "limitations": LIMITS,
            "limits": {"max_tokens": (1, context - 1)},
            "versions": {name: version(name) for name in ("transformers", "tokenizers", "torch")},
            **card,
            "defaults": {"max_tokens": min(FEW, context // 2), **card.get("defaults", {})},
        }
    )


def _opened(path: Path) -> tuple[Any, Any]:
    """The net and the tokenizer, as transformers finds them; no code of theirs is run."""
    where, named = path, {}
    how: dict[str, Any] = {"dtype": "auto"}
    if not path.is_dir():
        _check_gguf(path)
        where, named = path.parent, {"gguf_file": path.name}
        how = {"dtype": torch.bfloat16, "quantization_config": GgufConfig(dequantize=True)}
    try:
        own: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False, **named}
        tokenizer = TOKENIZERS.from_pretrained(where, **own)
        net = MODELS.from_pretrained(where, **own, **how)
    except Exception as error:  # whatever it makes of files that are none, or that are cut short
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        message = f"{path.name} can't be read: it is no language model that transformers "
        message += f"{version('transformers')} knows, or it is cut short ({reason})"
        raise CheckpointError(message) from None
    if not tokenizer.is_fast:
        raise CheckpointError("its tokenizer has no tokenizer.json, so it can't be brought along")
    return net, tokenizer


def _check_gguf(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise CheckpointError(f"{path.name} is neither a folder nor a GGUF file")


def _template(told: str | Mapping[str, str] | None) -> str | None:
    """How the model is asked; of several templates, the one that is neither for tools nor for
    documents. Raises CheckpointError where none of several is that."""
    if told is None or isinstance(told, str):
        return told
    if "default" not in told:
        named = ", ".join(sorted(told))
        raise CheckpointError(f"it has several chat templates ({named}), and none called default")
    return told["default"]


def _ends(net: Any, tokenizer: Any, marks: Mapping[str, str]) -> set[int]:
    """The tokens that end a text: those that the model was taught, and every mark that stands
    around texts."""
    told = net.generation_config.eos_token_id
    ends = set(told if isinstance(told, list) else [] if told is None else [told])
    return ends | {int(tokenizer.convert_tokens_to_ids(mark)) for mark in marks.values()}


def _context(asked: int | None) -> int:
    """What is asked for, of a net that may have less. Raises CheckpointError for what none has."""
    if asked is not None and not 2 <= asked <= LONGEST_CONTEXT:
        raise CheckpointError(f"its context may be between 2 and {LONGEST_CONTEXT}, not {asked}")
    return CONTEXT if asked is None else asked
