"""Parts of other checkpoints that learners use as they are."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from models.checkpoint.header import Header
from models.checkpoint.weights import Checkpoint
from models.clip.tokenizer import WordTokenizer
from models.nets.autoencoder import Autoencoder
from models.nets.clip import build_clip, tell
from models.nets.unet import TextCondition
from training.components import part
from training.recipe import Data

ROWS = 100  # pictures encoded at once


def pictures_of(pictures: Tensor, device: torch.device) -> Tensor:
    """uint8 to [-1, 1]."""
    return pictures.to(device, memory_format=torch.channels_last).float().div_(127.5).sub_(1)


def autoencoder_of(card: Header, weights: dict[str, Tensor]) -> Autoencoder:
    config: dict[str, Any] = dict(card.net)
    net = Autoencoder(**config)
    net.load_state_dict(weights)
    return net.eval().requires_grad_(False).to(memory_format=torch.channels_last)


@torch.no_grad()
def encoded(net: Autoencoder, pictures: Tensor) -> Tensor:
    """uint8 (N, C, H, W) -> (N, latent, side, side) float32, a part at a time."""
    device = next(net.parameters()).device
    parts = torch.split(pictures, ROWS)
    return torch.cat([net.encode(pictures_of(part, device)).cpu() for part in parts])


@dataclass(frozen=True, slots=True)
class FrozenTextTower:
    """A text tower that stays as it is."""

    net: Any
    words: WordTokenizer
    context: int
    device: torch.device

    @classmethod
    def of(cls, clip: Checkpoint, device: torch.device) -> "FrozenTextTower":
        net: Any = build_clip(**clip.header.net)
        own = {k: v.float() for k, v in clip.tensors.items() if not k.startswith("words.")}
        net.load_state_dict(own)
        net = net.eval().requires_grad_(False).to(device)
        return cls(net, WordTokenizer.read(clip.tensors), int(net.text.context_length), device)

    @torch.no_grad()
    def read(self, tokens: Tensor) -> TextCondition:
        """Of token rows (B, L), padded by 0."""
        tokens = tokens.to(self.device)
        told = tell(self.net, tokens)
        hidden = torch.zeros(tokens.shape, device=self.device)
        return TextCondition(told.states, hidden.masked_fill(tokens == 0, -torch.inf), told.pooled)


def autoencoder_of_part(held: Checkpoint) -> tuple[Autoencoder, dict[str, Tensor]]:
    """The net in single precision, and its tensors as a checkpoint holds them beside others."""
    net = autoencoder_of(held.header, {k: v.float() for k, v in held.tensors.items()})
    return net, {f"autoencoder.{k}": v for k, v in held.tensors.items()}


def in_latents(data: Data) -> Data:
    """The pictures of the training part as latents of the autoencoder, (N, 4, 16, 16)."""
    net, _ = autoencoder_of_part(part("autoencoder-emoji"))
    pictures, *others = data.train
    return Data((encoded(net, pictures), *others), data.test, data.labels)
