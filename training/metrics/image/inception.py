"""Inception v3 from weights that the user brings: what FID and the Inception score are made of."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models.inception import Inception3

from models.checkpoint.header import CheckpointError, file_sha256
from models.checkpoint.weights import read_foreign
from training.metrics.image.features import ROWS, Described

SIDE = 299  # pixels
ORIGINAL = 1008  # classes of the weights that FID was defined with; torchvision's have 1000


class InceptionV3:
    """Szegedy et al. 2016 (1512.00567): the pooled 2048 before its last layer, and its classes.

    Takes state dicts with torchvision's names. Published figures rest on weights of December 2015
    that came with TensorFlow, which are known by their 1008 classes; the net then pools as that one
    does. With torchvision's own weights the figures are another scale; the name says which.
    """

    def __init__(self, path: Path) -> None:
        weights = {k: w for k, w in read_foreign(path).items() if not k.startswith("AuxLogits")}
        if "fc.weight" not in weights:
            raise CheckpointError(f"{path.name} holds no Inception v3: it lacks fc.weight")
        classes = len(weights["fc.weight"])
        kind = "of 2015-12-05" if classes == ORIGINAL else f"of {classes} classes"
        self.name = f"inception-v3 {kind}, sha256 {file_sha256(path)[:12]}"
        try:
            self._net, self._classify = _loaded(weights, classes)
        except (KeyError, RuntimeError):
            raise CheckpointError(
                f"{path.name} holds no Inception v3 as torchvision names it"
            ) from None

    @torch.inference_mode()
    def __call__(self, pictures: Tensor) -> Described:
        batches = []
        for rows in torch.split(pictures, ROWS):
            pooled = self._net((stretched(rows) - 128) / 128)
            batches.append((pooled, self._classify(pooled).softmax(1)))
        features, probabilities = zip(*batches, strict=True)
        return Described(torch.cat(features), torch.cat(probabilities))


def stretched(pictures: Tensor, side: int = SIDE) -> Tensor:
    """uint8 (B, 1 or 3, H, W) to (B, 3, side, side) in [0, 255], as TensorFlow 1 did; grey thrice.

    Pixel i of the result lies at i * H / side of the picture: not at the middle of what it covers,
    and not smoothed where it shrinks, which is part of the figure's definition by now (Parmar et
    al. 2022, 2104.11222).
    """
    x = pictures.float().expand(-1, 3, -1, -1)
    for dimension in (2, 3):
        size = x.shape[dimension]
        at = torch.arange(side, device=x.device) * (size / side)
        before = at.long()
        after = (before + 1).clamp(max=size - 1)
        fraction = (at - before).view(-1, *[1] * (3 - dimension))
        x = torch.lerp(
            x.index_select(dimension, before), x.index_select(dimension, after), fraction
        )
    return x.contiguous(memory_format=torch.channels_last)


class Repooled(nn.Module):
    """A block of torchvision's with another pooling before its last branch."""

    def __init__(self, block: nn.Module, pool: nn.Module) -> None:
        super().__init__()
        self.block, self.pool = block, pool

    def forward(self, x: Tensor) -> Tensor:
        *kept, _ = self.block._forward(x)  # type: ignore[operator]
        return torch.cat([*kept, self.block.branch_pool(self.pool(x))], 1)  # type: ignore[operator]


def _loaded(weights: dict[str, Tensor], classes: int) -> tuple[nn.Module, nn.Linear]:
    """The net up to its pooled features, and its last layer. Raises RuntimeError if they misfit."""
    with torch.device("meta"):
        net: nn.Module = Inception3(classes, aux_logits=False, init_weights=False)
        classify = nn.Linear(2048, classes)
    net.load_state_dict(weights, assign=True)
    classify.load_state_dict({k: weights[f"fc.{k}"] for k in ("weight", "bias")}, assign=True)
    net.register_module("fc", nn.Identity())
    if classes == ORIGINAL:
        for name, block in list(net.named_children()):
            if name in POOLS:
                net.register_module(name, Repooled(block, POOLS[name]))
        classify.register_parameter("bias", None)  # the original score leaves it out
    return net.eval().to(memory_format=torch.channels_last), classify


MEAN = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
POOLS: dict[str, nn.Module] = {
    **dict.fromkeys(("Mixed_5b", "Mixed_5c", "Mixed_5d"), MEAN),
    **dict.fromkeys(("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e", "Mixed_7b"), MEAN),
    "Mixed_7c": nn.MaxPool2d(3, stride=1, padding=1),
}
"""Where the original pools otherwise: means leave out what lies beyond the border."""
