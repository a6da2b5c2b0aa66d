"""A tiny Stable Diffusion, built on the spot: a folder as diffusers has it, and its checkpoint."""

from pathlib import Path
from typing import Any

import torch
from pydantic import JsonValue
from torch import nn

from models.diffusion.stable_diffusion_nets import makers
from models.diffusion.stable_diffusion_tokenizer import tensors_of

LETTERS = "abcdefghijklmnopqrstuvwxyz"
MERGES = ["r e", "re d</w>", "a p", "p l", "ap pl", "appl e</w>"]
MARKS = ["<|startoftext|>", "<|endoftext|>"]
VOCAB: dict[str, int] = {
    word: number
    for number, word in enumerate(
        [
            "!",
            *LETTERS,
            *(f"{letter}</w>" for letter in LETTERS),
            *(merge.replace(" ", "") for merge in MERGES),
            *MARKS,
        ]
    )
}
TOKENIZER: dict[str, JsonValue] = {
    "bos_token": MARKS[0],
    "eos_token": MARKS[1],
    "unk_token": MARKS[1],
    "pad_token": MARKS[1],
}
UNET: dict[str, JsonValue] = {
    "sample_size": 8,
    "block_out_channels": [32, 64],
    "layers_per_block": 1,
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
    "cross_attention_dim": 32,
    "attention_head_dim": [2, 4],
    "norm_num_groups": 8,
}
VAE: dict[str, JsonValue] = {
    "sample_size": 64,
    "block_out_channels": [8, 8, 8, 8],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "norm_num_groups": 4,
}
TEXT_ENCODER: dict[str, JsonValue] = {
    "vocab_size": len(VOCAB),
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 16,
    "hidden_act": "quick_gelu",
}
NET: dict[str, JsonValue] = {
    "unet": UNET,
    "vae": VAE,
    "text_encoder": TEXT_ENCODER,
    "tokenizer": TOKENIZER,
}
PROCESS: dict[str, JsonValue] = {
    "schedule": "scaled_linear",
    "first": 0.00085,
    "last": 0.012,
    "clip": False,
    "spacing": "leading",
    "offset": 1,
    "to_one": False,
}


class Stable(nn.Module):
    """The nets of a checkpoint side by side, and what else it holds."""

    def __init__(self, **net: Any) -> None:
        super().__init__()
        make = makers()
        self.unet, self.vae = make.unet(**net["unet"]), make.vae(**net["vae"])
        self.text_encoder = make.text_encoder(**net["text_encoder"])
        self.preview = nn.Linear(4, 3)
        self.tokenizer = nn.Module()
        for name, tensor in tensors_of(VOCAB, "\n".join(["#version: 0.2", *MERGES, ""])).items():
            self.tokenizer.register_buffer(name.removeprefix("tokenizer."), tensor)


SCHEDULER: dict[str, Any] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}
TEXT_2: dict[str, Any] = {**TEXT_ENCODER, "hidden_act": "gelu", "num_hidden_layers": 3}
UNET_2: dict[str, Any] = {**UNET, "use_linear_projection": True, "upcast_attention": True}


def tiny_pipeline(version: int = 1, channels: int = 4, narrow: bool = False) -> Any:
    """A `StableDiffusionPipeline` of random weights, as version 1.x or 2.x are built.

    With 9 channels its net is one that repaints; with a narrow text encoder it fits no other.
    """
    from diffusers import (
        AutoencoderKL,
        DDIMScheduler,
        StableDiffusionPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    torch.manual_seed(0)
    prediction = "epsilon" if version == 1 else "v_prediction"
    marks: dict[str, Any] = {**TOKENIZER, "pad_token": MARKS[1] if version == 1 else "!"}
    merges = [tuple(merge.split()) for merge in MERGES]
    tokenizer = CLIPTokenizer(vocab=VOCAB, merges=merges, model_max_length=16, **marks)
    ids = {"bos_token_id": VOCAB[MARKS[0]], "eos_token_id": VOCAB[MARKS[1]]}
    width = {"hidden_size": 16} if narrow else {}
    config: dict[str, Any] = {**(TEXT_ENCODER if version == 1 else TEXT_2), **ids, **width}
    text = CLIPTextModel(CLIPTextConfig(**config))
    pipeline: Any = StableDiffusionPipeline(
        vae=AutoencoderKL(**VAE),
        text_encoder=text.eval(),
        tokenizer=tokenizer,
        unet=UNet2DConditionModel(**(UNET if version == 1 else UNET_2) | {"in_channels": channels}),
        scheduler=DDIMScheduler(**SCHEDULER, prediction_type=prediction),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    with torch.no_grad():
        for component in (pipeline.unet, pipeline.vae, pipeline.text_encoder):
            for parameter in component.parameters():  # no part is silent, as some begin
                parameter.add_(torch.randn_like(parameter) * 0.05)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def tiny_folder(folder: Path, version: int = 1, channels: int = 4, narrow: bool = False) -> Path:
    """The same as a folder."""
    path = folder / f"sd-{version}.x"
    tiny_pipeline(version, channels, narrow).save_pretrained(path)
    return path
