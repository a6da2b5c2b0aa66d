"""Trains an upscaler: small images to the large ones that they were drawn beside."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import JsonValue
from torch import Tensor, nn
from torch.nn import functional as F

from models.checkpoint.header import Header
from models.nets.autoencoder import Autoencoder
from models.nets.upscaler import Upscaler, bicubic
from training.learners.standard import Objective
from training.metrics.image.psnr import psnr
from training.metrics.image.ssim import ssim
from training.optim.amp import mixed
from training.optim.init import initialise
from training.optim.losses import edges_l1
from training.pretrained import encode_images, load_autoencoder, normalize
from training.recipe import Batch, Data

ROWS = 16  # pictures enlarged at once
BLUR = 0.2  # the most noise in the latents of pictures to learn from, whose deviation is 1


@dataclass(frozen=True, slots=True)
class UpscalerSettings:
    """AdamW's rate warms up, then falls along a cosine to nothing over `steps`."""

    steps: int
    rate: float = 1e-3
    weight_decay: float = 0.01
    warmup: int = 100
    clip: float = 1.0  # largest norm of a gradient
    decay: float = 0.999  # of the average
    gradient: float = 0.2  # weight of the differences between neighbouring pixels
    crop: int = 32  # side of the small pictures' parts that are learnt from
    soft: float = 0.5  # part of them that went through an autoencoder
    seed: int = 0


class UpscalerObjective(Objective[Upscaler]):
    """L1 of pixels and of the differences between neighbours, on crops of images.

    Some are as drawn and some as an autoencoder gives them back. Columns: large, small, soft.
    """

    settings: UpscalerSettings

    def __init__(self, card: Header, settings: UpscalerSettings, device: torch.device) -> None:
        config: dict[str, Any] = dict(card.net)
        net = initialise(Upscaler(**config), torch.Generator().manual_seed(settings.seed))
        for parameter in net.leave.parameters():
            nn.init.zeros_(parameter)  # at first it is bicubic
        self.net = net.to(device).to(memory_format=torch.channels_last)
        self.settings, self.device, self.max_norm = settings, device, settings.clip
        side = settings.crop
        self.last_batch: Batch = tuple(
            torch.zeros(1, 3, size, size, dtype=torch.uint8)
            for size in (side * net.factor, side, side)
        )

    def loss(self, batch: Batch, rng: torch.Generator, step: int) -> tuple[Tensor, dict[str, Any]]:
        self.last_batch = batch
        small, large = crops(batch, self.settings.crop, self.settings.soft, rng)
        x, target = normalize(small, self.device), normalize(large, self.device)
        with mixed(self.device):
            output = self.net(x).float()
        l1, edges = F.l1_loss(output, target), edges_l1(output, target)
        return l1 + self.settings.gradient * edges, {"l1": l1, "edges": edges}

    def sample(self, net: Upscaler, rows: int, rng: torch.Generator) -> Tensor:
        """Returns images of the last batch in fours: a soft one by bicubic and by the net, the
        clean one by the net, and the target. There are half as many as asked for: they are large.
        """
        large, small, soft = (column[: max(1, rows // 8)] for column in self.last_batch)
        fours = [
            enlarged(lambda x: bicubic(x, net.factor), soft, self.device),
            enlarged(net, soft, self.device),
            enlarged(net, small, self.device),
            large.float().div(255),
        ]
        return torch.stack(fours, 1).flatten(0, 1)


def crops(batch: Batch, side: int, soft: float, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """A part of every picture, (B, 3, side, side) and as it should become, uint8: each from a place
    of its own, turned and mirrored, and with a chance of `soft` the soft one."""
    count, factor = len(batch[0]), batch[0].shape[-1] // batch[1].shape[-1]
    softened = torch.rand(count, generator=rng) < soft
    corners = torch.randint(batch[1].shape[-1] - side + 1, (count, 2), generator=rng).tolist()
    turns = torch.randint(4, (count,), generator=rng).tolist()
    mirrored = torch.rand(count, generator=rng) < 0.5
    pairs = []
    for row, (top, left) in enumerate(corners):
        small = batch[2 if softened[row] else 1][row][:, top:, left:][:, :side, :side]
        large = batch[0][row][:, factor * top :, factor * left :]
        large = large[:, : factor * side, : factor * side]
        turned = [x.rot90(turns[row], (1, 2)) for x in (small, large)]
        pairs.append([x.flip(2) if mirrored[row] else x for x in turned])
    return torch.stack([small for small, _ in pairs]), torch.stack([large for _, large in pairs])


def with_soft(data: Data) -> Data:
    """With one more column: the small pictures as an autoencoder gives them back, since that is
    where those to be enlarged come from.

    In the training part their latents are noisy, each picture's by an amount of its own: what a
    sampler leaves there is no picture's latents either.
    """
    net = load_autoencoder()
    train, test = softened(net, data.train[1], BLUR), softened(net, data.test[1], 0.0)
    return Data((*data.train, train), (*data.test, test))


@torch.no_grad()
def softened(net: Autoencoder, pictures: Tensor, most: float) -> Tensor:
    """uint8 (N, 3, H, W) there and back; the noise in between has a deviation of up to `most`."""
    rng = torch.Generator().manual_seed(0)
    z = encode_images(net, pictures)
    deviation = torch.rand(len(z), 1, 1, 1, generator=rng) * most
    z = z + deviation * torch.randn(z.shape, generator=rng)
    back = torch.cat([net.decode(some) for some in torch.split(z, ROWS)])
    return back.add(1).mul(127.5).round().clamp(0, 255).byte().contiguous()


@torch.no_grad()
def enlarged(enlarge: Callable[[Tensor], Tensor], pictures: Tensor, device: torch.device) -> Tensor:
    """uint8 (N, C, H, W) -> float32 in [0, 1], a few at a time."""
    some = torch.split(pictures, ROWS)
    outputs = [enlarge(normalize(x, device)).add(1).div(2).clamp(0, 1).cpu() for x in some]
    return torch.cat(outputs)


def measure_upscaler(card: Header, weights: dict[str, Tensor], data: Data) -> dict[str, JsonValue]:
    """PSNR, in dB, and SSIM of held-out pictures made large again, beside those of bicubic; then
    the same where the small ones went through the autoencoder first."""
    config: dict[str, Any] = dict(card.net)
    net = Upscaler(**config).eval().requires_grad_(False)
    net.load_state_dict({k: v.float() for k, v in weights.items()})
    net = net.to(memory_format=torch.channels_last)
    large, small, soft = data.test
    target, figures = large.float().div(255), dict[str, JsonValue]()
    for kind, pictures in (("", small), ("soft_", soft)):
        for enlarge, by in ((net, ""), (lambda x: bicubic(x, net.factor), "_bicubic")):
            output = enlarged(enlarge, pictures, torch.device("cpu"))
            figures[f"test_{kind}psnr{by}"] = round(psnr(output, target), 2)
            figures[f"test_{kind}ssim{by}"] = round(ssim(output, target), 4)
    return figures
