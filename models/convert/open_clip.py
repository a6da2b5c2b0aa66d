"""An open_clip model, by its name or its configuration and a file of its weights: to one part.

Taken are models that read by open_clip's own tokenizer (SimpleTokenizer, 49,408 tokens) with its
own text tower, with any image tower that open_clip builds: its vision transformers, ResNets and
those of timm. What is refused, and why, `_refuse` tells.
"""

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.checkpoint.header import CheckpointError, Header
from models.checkpoint.weights import Checkpoint, read_foreign
from models.clip.clip import CLIP, cutouts
from models.clip.tokenizer import EveryWord
from models.engine.batching import Placement
from models.engine.noise import seeded

OPENAI = {
    "mean": (0.48145466, 0.4578275, 0.40821073),
    "std": (0.26862954, 0.26130258, 0.27577711),
    "interpolation": "bicubic",
}
"""How open_clip shows pictures where nothing else is said (Radford et al. 2021)."""
WANTED = {"embed_dim", "vision_cfg", "text_cfg"}
TAKEN = WANTED | {"quick_gelu", "init_logit_scale", "init_logit_bias", "nonscalar_logit_scale"}
TEXT = ("text_projection", "positional_embedding", "token_embedding", "transformer", "ln_final")
"""What a plain CLIP keeps at its top, and one with a text tower of its own under `text.`"""
ABOUT = "{name} of open_clip: it reads prompts, and leads pictures towards them."


@dataclass(frozen=True, slots=True)
class OpenClipSource:
    """Where a model comes from."""

    name: str  # one of open_clip's, or the path of a configuration in JSON
    weights: Path
    tag: str | None = None  # open_clip's name of the training that the weights come from
    key: str | None = None  # the entry of the file that holds them


def read_open_clip(
    source: OpenClipSource, card: Mapping[str, Any]
) -> tuple[Header, dict[str, Tensor]]:
    """The header and the tensors of a part. Nothing is fetched, and no code of the file is run.

    Raises CheckpointError, which names what is unknown, not supported, or doesn't fit.
    """
    config, sight = _configured(source)
    _refuse(config)
    net = _plain(config)
    tensors = _named(read_foreign(source.weights, source.key))
    _reshape_scalars(net, tensors)
    header = Header.model_validate(
        {
            "family": "clip",
            "net": net,
            "process": {"words": "all", **sight},
            "description": ABOUT.format(name=Path(source.name).stem),
            "versions": {name: version(name) for name in ("open_clip_torch", "torch")},
            **card,
        }
    )
    _prove(CLIP(Checkpoint(header, tensors, ""), Placement(torch.device("cpu"))))
    return header, tensors


def _configured(source: OpenClipSource) -> tuple[dict[str, Any], dict[str, Any]]:
    """The configuration of the nets, and how pictures are shown to them."""
    from open_clip.factory import get_model_config
    from open_clip.pretrained import get_pretrained_cfg, list_pretrained_tags_by_model

    name = source.name
    if name.endswith(".json"):
        if source.tag is not None:
            raise CheckpointError("a configuration of your own has no tag: leave --pretrained out")
        return _read_config(Path(name))
    if ":" in name or (config := get_model_config(name)) is None:
        raise CheckpointError(f"open_clip has no model {name!r}{_near(name)}")
    tags = list_pretrained_tags_by_model(name)
    if source.tag is not None:
        preset = get_pretrained_cfg(name, source.tag)
        if not preset:
            known = ", ".join(tags) or "none"
            raise CheckpointError(f"{name} has no tag {source.tag!r}; it has {known}")
        return config | {"quick_gelu": preset.get("quick_gelu", False)}, _sight(preset)
    sights = [_sight(get_pretrained_cfg(name, tag)) for tag in tags]
    return config, sights[0] if sights and all(s == sights[0] for s in sights) else _sight({})


def _near(name: str) -> str:
    from open_clip import list_models

    low = {known.lower(): known for known in list_models()}
    near = [low[x] for x in difflib.get_close_matches(name.lower(), low, 4, 0.5)]
    return f"; near to it are {', '.join(near)}" if near else "; open_clip.list_models() has all"


def _read_config(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """A configuration alone, or an open_clip_config.json with how pictures are shown beside it."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path.name} can't be read: {error}") from None
    config = content.get("model_cfg", content) if isinstance(content, dict) else None
    if not isinstance(config, dict) or not config.keys() >= WANTED:
        raise CheckpointError(f"{path.name} must have {', '.join(sorted(WANTED))}")
    return config, _sight(content.get("preprocess_cfg") or {})


def _sight(preprocessing: Mapping[str, Any]) -> dict[str, Any]:
    sight = {name: preprocessing.get(name, usual) for name, usual in OPENAI.items()}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in sight.items()}


def _refuse(config: Mapping[str, Any]) -> None:
    """Raises CheckpointError for what works otherwise than `models.clip.clip` would have it."""
    text, vision = config["text_cfg"], config["vision_cfg"]
    if not isinstance(text, dict) or not isinstance(vision, dict):
        raise CheckpointError("its text_cfg and vision_cfg must be objects")
    if "multimodal_cfg" in config:
        raise CheckpointError("it is a CoCa, which also writes: only models that compare are taken")
    if text.get("hf_model_name"):
        raise CheckpointError(
            f"its text tower is transformers' {text['hf_model_name']}, not one of open_clip's own"
        )
    if text.get("hf_tokenizer_name"):
        raise CheckpointError(
            f"it reads by the tokenizer {text['hf_tokenizer_name']}, which its weights don't "
            "bring; only open_clip's own SimpleTokenizer is at hand"
        )
    if text.get("vocab_size", EveryWord.rows) != EveryWord.rows:
        raise CheckpointError(
            f"it knows {text['vocab_size']} tokens, and open_clip's tokenizer {EveryWord.rows}"
        )
    usual = {"pool_type": "argmax", "proj_type": "linear"}
    plain = dict.fromkeys(("embed_cls", "proj_bias", "output_tokens", "tokenizer_kwargs"))
    for name, value in {**usual, **plain}.items():
        if (text.get(name) or value) != value:
            raise CheckpointError(f"its text tower has {name} {text[name]!r}, which is not known")
    if vision.get("output_tokens"):
        raise CheckpointError("its image tower has output_tokens, which is not known")
    if unknown := config.keys() - TAKEN - {"custom_text"}:
        raise CheckpointError(f"its configuration has {', '.join(sorted(unknown))}: not known")


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """What the nets are built with: an image tower of timm must not fetch weights of its own."""
    net = {name: value for name, value in config.items() if name in TAKEN}
    if net["vision_cfg"].get("timm_model_name"):
        net["vision_cfg"] = net["vision_cfg"] | {"timm_model_pretrained": False}
    return net


def _named(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """By the names of a model whose text tower stands by itself, as it is built here."""
    tensors = {name.removeprefix("module."): tensor for name, tensor in weights.items()}
    if "text_projection" not in tensors:
        return tensors
    return {f"text.{n}" if n.split(".")[0] in TEXT else n: t for n, t in tensors.items()}


def _reshape_scalars(net: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """The scale and bias of its logits, which nobody asks for here, as this file has them."""
    scale = tensors.get("logit_scale")
    if scale is not None:
        net["nonscalar_logit_scale"] = scale.ndim == 1
    if "logit_bias" in tensors:
        net["init_logit_bias"] = 0.0


def _prove(clip: CLIP) -> None:
    """Reads and sees once: towers that are each fine may still not fit together."""
    try:
        with torch.inference_mode():
            tokens = clip.tokens(clip.tokenizer.read_text("a", clip.context).rows)
            goal = clip.encode.fn(tokens[None])[1]
            alike = clip.similarity(torch.zeros(1, 3, 8, 8), goal, cutouts(seeded(0), 1)[None])
    except RuntimeError as error:
        raise CheckpointError(f"its towers don't fit together: {error}") from None
    if not alike.isfinite().all():
        raise CheckpointError("its weights make values that are not finite")
