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
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GgufConfig,
    PreTrainedTokenizerFast,
)

from models.checkpoint.header import CheckpointError, Header
from models.checkpoint.weights import Checkpoint
from models.convert.gguf_metadata import read_metadata
from models.convert.gguf_tokenizer import UNSAID, gpt2_tokenizer, splitting_of
from models.engine.batching import Placement
from models.language.language import Language
from models.language.tokenizer import TENSOR, tensor_of
from models.params.token_sampling import LONGEST_CONTEXT

MODELS: Any = AutoModelForCausalLM  # none of them has types
TOKENIZERS: Any = AutoTokenizer
FAST: Any = PreTrainedTokenizerFast
CONTEXT = 2048  # tokens, if no other is asked for: each slot has room for as many
FEW = 400  # tokens to write, if it isn't said
MARKS = ("bos_token", "eos_token", "unk_token", "pad_token")
GGUF_MARKS = dict(zip(MARKS, ("bos", "eos", "unknown", "padding"), strict=True))
GGUF_TEMPLATE = "tokenizer.chat_template"
GGUF_ENDS = ("tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id")
END_OF_TURN = ("<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<end_of_turn>")
ORIGIN = {"transformers_version", "architectures", "dtype", "_name_or_path", "quantization_config"}
"""What a configuration says of where it came from, and not of the net."""
LIMITS = "It may be wrong, repeat itself or offend: nothing that it writes is filtered."


@dataclass(frozen=True)
class LanguageSource:
    """Where a language model comes from: a folder or a GGUF file."""

    path: Path
    context: int | None = None  # tokens of a text at most, if not as many as usual


def read_language(
    source: LanguageSource, card: Mapping[str, Any]
) -> tuple[Header, dict[str, Tensor]]:
    """The header and the tensors of a model. Raises CheckpointError, which says what is wrong."""
    metadata = {} if source.path.is_dir() else _metadata(source.path)
    net, tokenizer = _opened(source.path, metadata)
    tied = net.all_tied_weights_keys
    tensors = {name: t for name, t in net.state_dict().items() if name not in tied}
    tensors[TENSOR] = tensor_of(_spelled(source.path, tokenizer))
    marks = {mark: str(x) for mark in MARKS if (x := tokenizer.special_tokens_map.get(mark))}
    tokenizer_config = {
        "chat_template": _template(tokenizer.chat_template),
        "ends": sorted(_ends(net, tokenizer, marks) | _ends_in(metadata)),
        "marks": marks,
    }
    config = json.loads(net.config.to_json_string(use_diff=False))
    context = _context(source.context)

    card = {"limitations": _limitations(metadata), **card}

    def header_of(context: int) -> Header:
        return _header(config, tokenizer_config, context, card)

    model = Language(Checkpoint(header_of(context), tensors, ""), Placement(torch.device("cpu")))
    most = model.runtime.net.context  # as a worker will have it
    if source.context is not None and source.context > most:
        raise CheckpointError(f"its context may be between 2 and {most}, not {source.context}")
    return header_of(most), tensors


def _header(
    config: Mapping[str, Any],
    tokenizer_config: Mapping[str, Any],
    context: int,
    card: Mapping[str, Any],
) -> Header:
    return Header.model_validate(
        {
            "family": "language",
            "net": {
                "config": {k: v for k, v in config.items() if k not in ORIGIN},
                "words": tokenizer_config,
                "context": context,
            },
            "limits": {"max_tokens": (1, context - 1)},
            "versions": {name: version(name) for name in ("transformers", "tokenizers", "torch")},
            **card,
            "defaults": {"max_tokens": min(FEW, context // 2), **card.get("defaults", {})},
        }
    )


def _opened(path: Path, metadata: Mapping[str, Any]) -> tuple[Any, Any]:
    """The net and the tokenizer, as transformers finds them; no code of theirs is run."""
    where, named = path, {}
    how: dict[str, Any] = {"dtype": "auto"}
    if metadata:
        where, named = path.parent, {"gguf_file": path.name}
        how = {"dtype": torch.bfloat16, "quantization_config": GgufConfig(dequantize=True)}
    try:
        own: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False, **named}
        if metadata.get("tokenizer.ggml.model") == "gpt2":
            tokenizer = _gguf_tokenizer(metadata)
        else:
            tokenizer = TOKENIZERS.from_pretrained(where, **own)
        net = MODELS.from_pretrained(where, **own, **how)
    except CheckpointError:
        raise
    except Exception as error:  # whatever it makes of files that are none, or that are cut short
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        message = f"{path.name} can't be read: it is no language model that transformers "
        message += f"{version('transformers')} knows, or it is cut short ({reason})"
        raise CheckpointError(message) from None
    if not tokenizer.is_fast:
        raise CheckpointError("its tokenizer has no tokenizer.json, so it can't be brought along")
    return net, tokenizer


def _metadata(path: Path) -> dict[str, Any]:
    """What a GGUF file says of itself. Raises CheckpointError where it is but a part of a model."""
    metadata = read_metadata(path)
    count = metadata.get("split.count", 1)
    if not isinstance(count, int) or count > 1:  # a file that was joined has 0
        message = f"{path.name} is one of {count} files of a model: join them into one first"
        raise CheckpointError(f"{message} (llama-gguf-split --merge)")
    return metadata


def _gguf_tokenizer(metadata: Mapping[str, Any]) -> Any:
    """The tokenizer of a GGUF file, with its template and its marks."""
    splitting = splitting_of(metadata)
    tokens = metadata.get("tokenizer.ggml.tokens", [])
    numbers = {m: metadata.get(f"tokenizer.ggml.{name}_token_id") for m, name in GGUF_MARKS.items()}
    tokenizer = FAST(
        tokenizer_object=gpt2_tokenizer(metadata, splitting),
        add_bos_token=metadata.get("tokenizer.ggml.add_bos_token", splitting.adds_bos),
        add_eos_token=metadata.get("tokenizer.ggml.add_eos_token", False),
        **{m: tokens[i] if i is not None and i < len(tokens) else None for m, i in numbers.items()},
    )
    templates = {
        key.removeprefix(f"{GGUF_TEMPLATE}."): value
        for key, value in metadata.items()
        if key.startswith(f"{GGUF_TEMPLATE}.")
    }
    tokenizer.chat_template = metadata.get(GGUF_TEMPLATE) or templates or None
    return tokenizer


def _spelled(path: Path, tokenizer: Any) -> str:
    """The tokenizer's JSON. A folder's own comes first where it is of bytes: transformers makes
    such tokenizers anew by their class, and loses what the class does not know, such as that digits
    stand alone. Those of SentencePiece are as transformers has them, which puts old ones right."""
    spelled: str = tokenizer.backend_tokenizer.to_str()
    file = path / "tokenizer.json"
    if not file.is_file():
        return spelled
    spec, known = json.loads(file.read_text()), json.loads(spelled)
    if '"ByteLevel"' not in json.dumps(spec.get("pre_tokenizer")):
        return spelled
    own = {token["content"] for token in spec.setdefault("added_tokens", [])}
    spec["added_tokens"] += [x for x in known["added_tokens"] if x["content"] not in own]
    spec["post_processor"] = known["post_processor"]  # as the folder's configuration has it
    return json.dumps(spec, ensure_ascii=False)


def _limitations(metadata: Mapping[str, Any]) -> str:
    split = metadata.get("tokenizer.ggml.model") != "gpt2" or "tokenizer.ggml.pre" in metadata
    return LIMITS if not metadata or split else UNSAID + LIMITS


def _template(template: str | Mapping[str, str] | None) -> str | None:
    """How the model is asked; of several templates, the one that is neither for tools nor for
    documents. Raises CheckpointError where none of several is that."""
    if template is None or isinstance(template, str):
        return template
    if not isinstance(template, Mapping):
        raise CheckpointError("its chat template is no text")
    if "default" not in template:
        named = ", ".join(sorted(template))
        raise CheckpointError(f"it has several chat templates ({named}), and none called default")
    return template["default"]


def _ends(net: Any, tokenizer: Any, marks: Mapping[str, str]) -> set[int]:
    """The tokens that end a text: those that the model was taught, and every mark that stands
    around texts."""
    eos = net.generation_config.eos_token_id
    ends = set(eos if isinstance(eos, list) else [] if eos is None else [eos])
    turns = set(END_OF_TURN) & {str(x) for x in tokenizer.added_tokens_decoder.values()}
    return ends | {int(tokenizer.convert_tokens_to_ids(x)) for x in {*marks.values(), *turns}}


def _ends_in(metadata: Mapping[str, Any]) -> set[int]:
    """The tokens that end a turn, by a GGUF file."""
    return {x for key in GGUF_ENDS if isinstance(x := metadata.get(key), int)}


def _context(asked: int | None) -> int:
    """What is asked for, of a net that may have less. Raises CheckpointError for what none has."""
    if asked is not None and not 2 <= asked <= LONGEST_CONTEXT:
        raise CheckpointError(f"its context may be between 2 and {LONGEST_CONTEXT}, not {asked}")
    return CONTEXT if asked is None else asked
