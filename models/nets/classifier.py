"""A small convolutional classifier: what generated pictures of known kinds are judged by."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Classifier(nn.Module):
    """Pictures (B, channels, H, W) in [0, 1] -> logits (B, classes), whatever their side.

    Convolutions of 3x3, each with batch normalisation (Ioffe and Szegedy 2015); the side halves
    between `widths`, and the mean over all places is what is judged.
    """

    def __init__(
        self, channels: int = 1, classes: int = 10, widths: Sequence[int] = (32, 64, 128, 128)
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, width in zip((channels, *widths), widths, strict=False):
            layers += [nn.MaxPool2d(2)] if layers else []
            layers += [nn.Conv2d(before, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)]
            layers += [nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.leave = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        seen: Tensor = self.layers(x * 2 - 1)
        logits: Tensor = self.leave(seen.mean((2, 3)))
        return logits

    @torch.inference_mode()
    def probabilities(self, x: Tensor) -> Tensor:
        """p(y|x), (B, classes), of any number of pictures; in evaluation mode.

        The mean of what is said of a picture and of its mirror image: a kind has no handedness.
        """
        parts = [
            (self(rows).softmax(1) + self(rows.flip(3)).softmax(1)) / 2
            for rows in torch.split(x, 500)
        ]
        return torch.cat(parts)
