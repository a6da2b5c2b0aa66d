"""The weights of a Llama-like net as the kernel reads them, and whether a net is such a one.

Weights stay as narrow as they came: a kernel that is bound by memory is then as much faster, and
what is added up is the same. As bytes they have a scale for each output, so that nothing of a
row's neighbours gets into it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from models.checkpoint.weights import check_names_and_shapes
from models.kernels.simd import LANES, Floats, Weights, padded

KINDS = {"llama", "mistral", "qwen2"}  # architectures that differ in their sizes and biases alone


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a net."""

    layers: int
    hidden: int
    inner: int
    heads: int
    groups: int  # of heads that share keys and values
    width: int  # of a head
    vocabulary: int
    places: int  # that every layer can look back over
    eps: float
    theta: float
    tied: bool
    biased: bool

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Shape | None":
        """None where the kernel can't run such a net."""
        turns = config.get("rope_parameters") or {}
        plain = config.get("hidden_act") == "silu"
        plain &= not config.get("mlp_bias") and not config.get("attention_bias")
        if config.get("model_type") not in KINDS or turns.get("rope_type") != "default":
            return None
        heads, hidden = int(config["num_attention_heads"]), int(config["hidden_size"])
        width = int(config.get("head_dim") or hidden // heads)
        if not plain or width % LANES:
            return None
        window = config.get("sliding_window") or config["max_position_embeddings"]
        return cls(
            layers=int(config["num_hidden_layers"]),
            hidden=hidden,
            inner=int(config["intermediate_size"]),
            heads=heads,
            groups=int(config.get("num_key_value_heads") or heads),
            width=width,
            vocabulary=int(config["vocab_size"]),
            places=min(int(window), int(config["max_position_embeddings"])),
            eps=float(config["rms_norm_eps"]),
            theta=float(turns["rope_theta"]),
            tied=bool(config.get("tie_word_embeddings")),
            biased=config["model_type"] == "qwen2",
        )

    @property
    def sizes(self) -> dict[str, int]:
        """Outputs of a layer's products with the net's input, by the names of their weights."""
        own, shared = self.heads * self.width, self.groups * self.width
        return {"q": own, "k": shared, "v": shared, "gate": self.inner, "up": self.inner}


class Matrix(NamedTuple):
    """Products of one kind, of all layers: blocks of LANES outputs, (inputs, LANES) each."""

    inputs: int
    outputs: int
    weights: Weights
    scale: Floats  # (layers, padded outputs)
    bias: Floats


class PackedLlama(NamedTuple):
    """All that the kernel reads."""

    heads: int
    groups: int
    width: int
    eps: float
    qkv: Matrix
    out: Matrix
    gate_up: Matrix
    down: Matrix
    head: Matrix
    norms: Floats  # (2 layers + 1, hidden): before attention and before the rest, and the last
    cos: Floats  # (places, width / 2)
    sin: Floats


def check(shape: Shape, tensors: Mapping[str, Tensor]) -> None:
    """Raises CheckpointError that names the first tensor which is missing, unknown or misshapen."""
    with torch.device("meta"):
        own = {name: torch.empty(size) for name, size in _names(shape).items()}
    check_names_and_shapes(own, tensors)


def _names(shape: Shape) -> dict[str, tuple[int, ...]]:
    names: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (shape.vocabulary, shape.hidden),
        "model.norm.weight": (shape.hidden,),
    }
    if not shape.tied:
        names["lm_head.weight"] = (shape.vocabulary, shape.hidden)
    for layer in range(shape.layers):
        front = f"model.layers.{layer}"
        for name, outputs in shape.sizes.items():
            block = "self_attn" if name in "qkv" else "mlp"
            names[f"{front}.{block}.{name}_proj.weight"] = (outputs, shape.hidden)
            if name in "qkv" and shape.biased:
                names[f"{front}.{block}.{name}_proj.bias"] = (outputs,)
        names[f"{front}.self_attn.o_proj.weight"] = (shape.hidden, shape.sizes["q"])
        names[f"{front}.mlp.down_proj.weight"] = (shape.hidden, shape.inner)
        names[f"{front}.input_layernorm.weight"] = (shape.hidden,)
        names[f"{front}.post_attention_layernorm.weight"] = (shape.hidden,)
    return names


def pack(
    shape: Shape, tensors: Mapping[str, Tensor], places: int, kind: torch.dtype
) -> PackedLlama:
    """Copies of a net's weights, as floats, bfloat16 or bytes."""

    def layers(*names: str) -> list[list[Tensor]]:
        return [[tensors[f"model.layers.{i}.{n}"] for n in names] for i in range(shape.layers)]

    attention = [f"self_attn.{letter}_proj" for letter in "qkv"]
    weights = layers(*(f"{name}.weight" for name in attention))
    biases = layers(*(f"{name}.bias" for name in attention)) if shape.biased else None
    norms = layers("input_layernorm.weight", "post_attention_layernorm.weight")
    every = [norm for pair in norms for norm in pair] + [tensors["model.norm.weight"]]
    head = tensors["model.embed_tokens.weight" if shape.tied else "lm_head.weight"]
    turns = 1.0 / shape.theta ** (torch.arange(0, shape.width, 2).float() / shape.width)
    angles = torch.arange(places).float()[:, None] * turns
    return PackedLlama(
        shape.heads,
        shape.groups,
        shape.width,
        shape.eps,
        _matrix([torch.cat(parts) for parts in weights], kind, biases),
        _matrix([w for (w,) in layers("self_attn.o_proj.weight")], kind),
        _matrix([torch.cat(x) for x in layers("mlp.gate_proj.weight", "mlp.up_proj.weight")], kind),
        _matrix([w for (w,) in layers("mlp.down_proj.weight")], kind),
        _matrix([head], kind),
        torch.stack(every).float().numpy(),
        angles.cos().numpy(),
        angles.sin().numpy(),
    )


def _matrix(
    weights: list[Tensor], kind: torch.dtype, biases: list[list[Tensor]] | None = None
) -> Matrix:
    """Of (outputs, inputs) each."""
    outputs, inputs = weights[0].shape
    whole = padded(outputs)
    scale, bias = torch.ones(len(weights), whole), torch.zeros(len(weights), whole)
    blocks = []
    for layer, weight in enumerate(weights):
        wide = torch.zeros(whole, inputs, dtype=kind)
        wide[:outputs], scale[layer, :outputs] = _narrowed(weight, kind)
        blocks.append(wide.view(-1, LANES, inputs).transpose(1, 2).contiguous().flatten())
        if biases is not None:
            bias[layer, :outputs] = torch.cat(biases[layer]).float()
    joined = torch.cat(blocks)
    narrow = joined.view(torch.uint16) if kind == torch.bfloat16 else joined
    return Matrix(inputs, outputs, narrow.numpy(), scale.numpy(), bias.numpy())


def _narrowed(weight: Tensor, kind: torch.dtype) -> tuple[Tensor, Tensor]:
    """As another type, and what its outputs are multiplied by: of bytes, each by its own scale."""
    if kind != torch.int8:
        return weight.to(kind), torch.ones(len(weight))
    scale = weight.float().abs().amax(1).clamp(min=1e-12) / 127
    return (weight.float() / scale[:, None]).round().to(kind), scale
