"""The nets of a Stable Diffusion checkpoint, as diffusers and transformers build them.

Both packages are loaded with the first such checkpoint: a service without one needs neither.
Weights and configurations come from the checkpoint alone, never from a user's folder.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from models.checkpoint.configs import JsonObject, StableDiffusionNet
from models.checkpoint.header import CheckpointError
from models.checkpoint.weights import Checkpoint, build_component, refuse_unknown_tensors
from models.diffusion.stable_diffusion_tokenizer import PromptTokenizer
from models.engine.batching import Placement
from models.nets.activations import make_even

PREFIXES = {*StableDiffusionNet.model_fields, "preview"}
MISSING = (
    "it needs diffusers and transformers ({name} is missing): pip install 'atelier-service[sd]'"
)

TEXT = {
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "max_position_embeddings",
    "hidden_act",
    "layer_norm_eps",
}
"""What of a text encoder's configuration changes its hidden states."""


@dataclass(frozen=True, slots=True)
class Makers:
    """How each net is made of its configuration, as found in its checkpoint."""

    unet: Callable[..., nn.Module]
    vae: Callable[..., nn.Module]
    text_encoder: Callable[..., nn.Module]


def makers() -> Makers:
    """Raises CheckpointError where the packages are not installed."""
    try:
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
        from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
        from transformers import CLIPTextModel  # noqa: F401 - a missing package shows here, not at its first use
    except ImportError as error:
        raise CheckpointError(MISSING.format(name=error.name or error)) from None
    return Makers(UNet2DConditionModel, AutoencoderKL, _text_encoder)


def _text_encoder(**config: Any) -> nn.Module:
    """Of CLIP; raises TypeError or ValueError for what it can't be made of."""
    from huggingface_hub.errors import StrictDataclassError
    from transformers import CLIPTextConfig, CLIPTextModel

    if unknown := config.keys() - TEXT:
        raise TypeError(f"a text encoder has no {', '.join(sorted(unknown))}")
    try:
        # these only choose a pooled state, which nobody asks for
        marks: dict[str, Any] = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
        net: nn.Module = CLIPTextModel(CLIPTextConfig(**config, **marks))
    except (KeyError, StrictDataclassError) as error:
        raise ValueError(str(error)) from None
    # some versions of transformers wrap the net in a second one, which only adds to the names
    return dict(net.named_children()).get("text_model", net)


class Nets:
    """All that a Stable Diffusion checkpoint holds, ready to run. Latents are those of the U-Net:
    the autoencoder's, shifted and scaled."""

    def __init__(self, checkpoint: Checkpoint, placement: Placement) -> None:
        net = StableDiffusionNet.parse(checkpoint.header.net)
        tensors = checkpoint.tensors
        refuse_unknown_tensors(tensors, PREFIXES)

        def build(make: Callable[..., nn.Module], name: str, config: JsonObject) -> Any:
            component = build_component(make, config, tensors, placement, f"{name}.")
            make_even(component)
            return component

        make = makers()
        self._unet = build(make.unet, "unet", net.unet)
        self._vae = build(make.vae, "vae", net.vae)
        self._text = build(make.text_encoder, "text_encoder", net.text_encoder)
        # it is no weight, so that it was left without values
        count = self._text.config.max_position_embeddings
        self._text.embeddings.position_ids = torch.arange(count, device=placement.device)[None]
        self.tokenizer = PromptTokenizer.of(net.tokenizer, tensors, count)
        self.channels: int = self._unet.config.in_channels
        self.width: int = self._text.config.hidden_size
        self._check(self._vae.config)
        preview = {"in_features": self.channels, "out_features": 3}
        aside = Placement(torch.device("cpu"))  # where flows run
        self._plane = build_component(nn.Linear, preview, tensors, aside, "preview.")

    def _check(self, vae: Any) -> None:
        """Parts that are each fine may still not fit together."""
        unet, text = self._unet.config, self._text.config
        if not unet.in_channels == unet.out_channels == vae.latent_channels:
            raise CheckpointError(
                f"its U-Net takes {unet.in_channels} channels and gives {unet.out_channels}, and "
                f"its autoencoder has {vae.latent_channels}: not a net that paints from words alone"
            )
        if not vae.in_channels == vae.out_channels == 3:
            raise CheckpointError("its autoencoder is not one of pictures in colour")
        if unet.cross_attention_dim != text.hidden_size:
            raise CheckpointError(
                f"its U-Net reads {unet.cross_attention_dim} numbers a token, and its text encoder "
                f"writes {text.hidden_size}"
            )
        if unet.class_embed_type or unet.num_class_embeds or unet.addition_embed_type:
            raise CheckpointError("its U-Net wants to be told more than words")
        if self.tokenizer.tokens > text.vocab_size:
            raise CheckpointError("its tokenizer has more tokens than its text encoder knows")
        if unet.sample_size is None:
            raise CheckpointError("its U-Net does not say what size it was made for")
        if 8 % self.factor:
            raise CheckpointError(
                f"a latent of its autoencoder is {self.factor} pixels wide, not 8"
            )

    @property
    def factor(self) -> int:
        """Pixels that one latent is high and wide."""
        return int(2 ** (len(self._vae.config.block_out_channels) - 1))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the pictures it was made for, in pixels."""
        size = self._unet.config.sample_size
        height, width = (size, size) if isinstance(size, int) else size
        return height * self.factor, width * self.factor

    @property
    def widest(self) -> int:
        """Channels of the largest map that decoding makes: at a picture's full height and width."""
        return int(max(self._vae.config.block_out_channels[:2]))

    def tell(self, tokens: Tensor) -> Tensor:
        """(B, context) to the states that the U-Net attends to, (B, context, width)."""
        states: Tensor = self._text(input_ids=tokens).last_hidden_state
        return states

    def predict(self, z: Tensor, t: Tensor, states: Tensor) -> Tensor:
        """The net's output for noisy latents (B, C, h, w) at times (B,)."""
        output: Tensor = self._unet(z, t, encoder_hidden_states=states, return_dict=False)[0]
        return output

    def encode(self, pictures: Tensor) -> Tensor:
        """The middle of the latents of pictures in [-1, 1]: nothing is drawn here."""
        config = self._vae.config
        z: Tensor = self._vae.encode(pictures, return_dict=False)[0].mode()
        scaled: Tensor = (z - (config.shift_factor or 0.0)) * config.scaling_factor
        return scaled

    def decode(self, z: Tensor) -> Tensor:
        """Pictures of latents, in [-1, 1] or a little beyond."""
        config = self._vae.config
        z = z / config.scaling_factor + (config.shift_factor or 0.0)
        pictures: Tensor = self._vae.decode(z, return_dict=False)[0]
        return pictures

    def preview(self, z: Tensor) -> Tensor:
        """A quick guess at the picture of latents (C, h, w), as large as they are, (3, h, w)."""
        colours: Tensor = self._plane(z.movedim(0, -1))
        return colours.movedim(-1, 0)
