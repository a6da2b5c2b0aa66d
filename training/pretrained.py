"""Frozen nets of other checkpoints that learners use."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from models.checkpoint.header import Header
from models.checkpoint.weights import Checkpoint
from models.clip.tokenizer import WordTokenizer
from models.nets.autoencoder import Autoencoder
from models.nets.clip import build_clip, tell
from models.nets.unet import Guess, TextCondition
from training.components import load_component
from training.recipe import Data

ROWS = 100  # images encoded at once


def normalize(images: Tensor, device: torch.device) -> Tensor:
    """Converts uint8 to [-1, 1]."""
    return images.to(device, memory_format=torch.channels_last).float().div_(127.5).sub_(1)


def build_autoencoder(card: Header, weights: Mapping[str, Tensor]) -> Autoencoder:
    """Returns the net in single precision, frozen."""
    config: dict[str, Any] = dict(card.net)
    with torch.device("cpu"):  # also where the caller builds its own nets elsewhere
        net = Autoencoder(**config)
    net.load_state_dict({name: weight.float() for name, weight in weights.items()})
    return net.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def load_autoencoder() -> Autoencoder:
    checkpoint = load_component("autoencoder-emoji")
    return build_autoencoder(checkpoint.header, checkpoint.tensors)


def load_guess() -> Guess:
    checkpoint = load_component("guess-emoji")
    config: dict[str, Any] = dict(checkpoint.header.net)
    with torch.device("cpu"):  # as above
        guess = Guess(**config)
    guess.load_state_dict({k: v.float() for k, v in checkpoint.tensors.items()})
    return guess.eval().requires_grad_(False)


@torch.no_grad()
def encode_images(net: Autoencoder, images: Tensor) -> Tensor:
    """uint8 (N, C, H, W) -> (N, latent, side, side) float32, a batch at a time."""
    device = next(net.parameters()).device
    batches = torch.split(images, ROWS)
    return torch.cat([net.encode(normalize(batch, device)).cpu() for batch in batches])


@dataclass(frozen=True, slots=True)
class FrozenTextTower:
    """The text tower of a CLIP; `net` has the image tower, too."""

    net: Any
    tokenizer: WordTokenizer
    context: int
    device: torch.device

    @classmethod
    def of(cls, clip: Checkpoint, device: torch.device) -> "FrozenTextTower":
        net: Any = build_clip(**clip.header.net)
        weights = {k: v.float() for k, v in clip.tensors.items() if not k.startswith("words.")}
        net.load_state_dict(weights)
        net = net.eval().requires_grad_(False).to(device)
        return cls(
            net, WordTokenizer.from_tensors(clip.tensors), int(net.text.context_length), device
        )

    @torch.no_grad()
    def encode(self, tokens: Tensor) -> TextCondition:
        """Encodes rows of tokens (B, L), padded by 0."""
        tokens = tokens.to(self.device)
        text = tell(self.net, tokens)
        hidden = torch.zeros(tokens.shape, device=self.device)
        return TextCondition(text.states, hidden.masked_fill(tokens == 0, -torch.inf), text.pooled)


def load_text_tower(device: torch.device) -> FrozenTextTower:
    return FrozenTextTower.of(load_component("clip-emoji"), device)


def in_latents(data: Data) -> Data:
    """Converts the training images to latents of the autoencoder, (N, 4, 16, 16)."""
    images, *others = data.train
    return Data((encode_images(load_autoencoder(), images), *others), data.test, data.labels)
