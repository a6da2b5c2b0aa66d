"""A GAN of 3D convolutions for short clips that loop, in the latents of an autoencoder.

Two streams make a clip (after Vondrick et al. 2016, 1609.02612, section 3.2): 2D convolutions a
picture, 3D convolutions what differs from it in each frame. A clip lies in memory as (B, channels,
frames, size, size) here: what 3D convolutions take.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

START = 4  # the side at which a clip begins, and at which it is judged
TIMES = 8  # frames begin as an eighth, doubled three times
SEEN = 32  # maps of the expected picture
MOVING = 24  # maps of each stream where they meet
MOTION = 4.0  # by which a critic sees changes between frames enlarged
HIDDEN = 256  # units of a critic's last layer but one


def check_measures(frames: int, size: int) -> None:
    """Raises ValueError for a clip that can't be doubled from its beginning."""
    if frames < TIMES or frames % TIMES:
        raise ValueError(f"frames must be a multiple of {TIMES}, not {frames}")
    if size < 2 * START or size & (size - 1):
        raise ValueError(f"size must be a power of two of at least {2 * START}, not {size}")


class VideoGenerator(nn.Module):
    """z (B, latent), text (B, text_dim) of length 1, expected (B, C, S, S) -> (B, F, C, S, S).

    `expected` is the picture that the text leads one to expect, as a net `Guess` has it for the
    label `style`. 2D convolutions improve it, and 3D convolutions add what differs from it in each
    frame. Time is a circle in every convolution, so that the last frame leads to the first. The
    first `text_dim` numbers of z blur the text (see `blur_text`).
    """

    def __init__(  # noqa: PLR0913, PLR0917 - as many measures as a net has
        self,
        latent: int = 320,
        text_dim: int = 256,
        hidden: int = 128,
        width: int = 128,
        frames: int = 16,
        channels: int = 4,
        size: int = 16,
        blur: float = 0.5,
        style: int = 0,
    ) -> None:
        super().__init__()
        check_measures(frames, size)
        if latent <= text_dim:
            raise ValueError(f"latent must be more than text_dim, {text_dim}, not {latent}")
        if width <= SEEN:
            raise ValueError(f"width must be more than {SEEN}, not {width}")
        self.latent, self.text_dim, self.blur, self.style = latent, text_dim, blur, style
        self.frames, self.channels, self.size = frames, channels, size
        self.scale = text_dim**0.5  # brings a vector of length 1 to values of about 1
        self.text = nn.Linear(text_dim, hidden)
        inputs, doublings = latent - text_dim + hidden, (size // START).bit_length() - 1
        self.enter_still = nn.Linear(inputs, width * START**2, bias=False)
        self.still = nn.Sequential(
            nn.Unflatten(1, (width, START, START)),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            *(doubled_side(width, width) for _ in range(doublings - 1)),
            doubled_side(width, width - SEEN),
        )
        self.see = nn.Conv2d(channels, SEEN, 3, 1, 1)
        self.improve = nn.Sequential(NormedResidual(width), NormedResidual(width))
        self.picture = nn.Conv2d(width, channels, 3, 1, 1)
        self.give = nn.Conv2d(width, MOVING, 1)
        first = frames // TIMES
        self.enter_moving = nn.Linear(inputs, width * first * START**2, bias=False)
        layers: list[nn.Module] = [
            nn.Unflatten(1, (width, first, START, START)),
            nn.BatchNorm3d(width),
            nn.ReLU(inplace=True),
        ]
        steps, maps = max(2, doublings), width
        for step in range(steps):  # the third doubling of time is that of `meet`
            narrow = MOVING if step == steps - 1 else max(MOVING, maps // 2)
            layers += [LoopConvolution(maps, narrow, time=step < 2, side=step < doublings)]
            maps = narrow
        self.moving = nn.Sequential(*layers)
        self.meet = LoopConvolution(2 * MOVING, MOVING, time=True, side=False)
        self.film = nn.Conv3d(MOVING, channels, 3, padding=(0, 1, 1))

    def blur_text(self, z: Tensor, text: Tensor) -> Tensor:
        """Moves a text (B, text_dim) of length 1 by `blur` on average, as z says.

        Conditioning augmentation (Zhang et al. 2017, 1612.03242, section 3.2) with one deviation
        for all: texts alike become one cloud, and a text gives more than one clip.
        """
        moved = text + self.blur / self.scale * z[:, : self.text_dim]
        return F.normalize(moved, dim=1)

    def forward(self, z: Tensor, text: Tensor, expected: Tensor) -> Tensor:
        """`text` is blurred already."""
        said = F.leaky_relu(self.text(self.scale * text), 0.2)
        inputs = torch.cat([z[:, self.text_dim :], said], 1)
        h = self.still(self.enter_still(inputs))
        h = self.improve(torch.cat([h, F.leaky_relu(self.see(expected), 0.2)], 1))
        picture = (expected + self.picture(h))[:, :, None]
        m = self.moving(self.enter_moving(inputs))
        shared = F.relu(self.give(h))[:, :, None].expand_as(m)
        x: Tensor = picture + self.film(wrap_time(self.meet(torch.cat([m, shared], 1))))
        return x.transpose(1, 2)


def doubled_side(width_in: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(width_in, width, 4, 2, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )


def wrap_time(x: Tensor) -> Tensor:
    """(B, C, F, H, W) with its last frame before the first, and its first after the last."""
    return torch.cat([x[:, :, -1:], x, x[:, :, :1]], 2)


class LoopConvolution(nn.Module):
    """A transposed convolution over a loop: twice the frames, twice the side, or both."""

    def __init__(self, width_in: int, width: int, *, time: bool, side: bool) -> None:
        super().__init__()
        in_time = (4, 2, 3) if time else (3, 1, 2)  # the kernel, the stride and what is cut off
        in_space = (4, 2, 1) if side else (3, 1, 1)
        kernel, stride, cut = ((t, s, s) for t, s in zip(in_time, in_space, strict=True))
        self.conv = nn.ConvTranspose3d(width_in, width, kernel, stride, cut, bias=False)
        self.norm = nn.BatchNorm3d(width)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(wrap_time(x))), inplace=True)


class NormedResidual(nn.Module):
    """Two convolutions with batch norm beside a way straight through (He et al. 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.main(x))


class VideoCritic(nn.Module):
    """Clips (B, F, C, S, S) and text (B, text_dim) -> one logit each; positive is real.

    Beside each frame it sees how the next differs, `MOTION` times as large, since what moves
    changes little. The first convolution halves the side, the second side and time, the third time
    alone. No batch norm, as a gradient penalty wants rows that are independent; in its place the
    deviation over the batch is a feature (Karras et al. 2018, section 3). The text is judged by a
    product (Miyato and Koyama 2018, equation 3).
    """

    def __init__(
        self,
        width: int = 32,
        text_dim: int = 256,
        frames: int = 16,
        channels: int = 4,
        size: int = 16,
    ) -> None:
        super().__init__()
        check_measures(frames, size)
        self.features = nn.Sequential(
            nn.Conv3d(2 * channels, width, (3, 4, 4), (1, 2, 2), 1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv3d(width, 2 * width, 4, 2, 1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv3d(2 * width, 4 * width, (4, 3, 3), (2, 1, 1), 1),
            nn.LeakyReLU(0.2, inplace=True),
        )
        self.judge = DiscriminatorHead(4 * width, frames // 4 * (size // 4) ** 2, text_dim)

    def forward(self, clips: Tensor, text: Tensor) -> Tensor:
        changes = MOTION * (clips.roll(-1, 1) - clips)
        h: Tensor = self.features(torch.cat([clips, changes], 2).transpose(1, 2))
        return self.judge(h.flatten(2), text)  # type: ignore[no-any-return]


class FrameCritic(nn.Module):
    """Frames (B, C, S, S) and text (B, text_dim) -> one logit each, by 2D convolutions."""

    def __init__(
        self, width: int = 64, text_dim: int = 256, channels: int = 4, size: int = 16
    ) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, width, 3, 1, 1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(width, 2 * width, 4, 2, 1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(2 * width, 4 * width, 4, 2, 1),
            nn.LeakyReLU(0.2, inplace=True),
        )
        self.judge = DiscriminatorHead(4 * width, (size // 4) ** 2, text_dim)

    def forward(self, frames: Tensor, text: Tensor) -> Tensor:
        h: Tensor = self.features(frames)
        return self.judge(h.flatten(2), text)  # type: ignore[no-any-return]


class DiscriminatorHead(nn.Module):
    """Features (B, width, N), their deviation over the batch, and the text, to (B,)."""

    def __init__(self, width: int, positions: int, text_dim: int) -> None:
        super().__init__()
        self.scale = text_dim**0.5
        self.mix = nn.Linear((width + 1) * positions, HIDDEN)
        self.score = nn.Linear(HIDDEN, 1)
        self.ask = nn.Linear(text_dim, HIDDEN, bias=False)

    def forward(self, h: Tensor, text: Tensor) -> Tensor:
        spread = (h.float().var(0, correction=0) + 1e-8).sqrt().mean()
        h = torch.cat([h, spread.to(h.dtype).expand(len(h), 1, h.shape[2])], 1)
        h = F.leaky_relu(self.mix(h.flatten(1)), 0.2)
        value: Tensor = self.score(h).squeeze(1)
        value = value + (self.ask(self.scale * text) * h).sum(1) / HIDDEN**0.5
        return value.float()
