"""Mel spectrograms: how loud sound is over time, by pitches spaced as one hears them."""

import math
from functools import lru_cache

import torch
from torch import Tensor

FLOOR = -80.0  # decibels below a full-scale sine: what is shown as nothing


def mel_of(hertz: float) -> float:
    """O'Shaughnessy 1987: 1000 Hz are 1000 mel."""
    return 2595 * math.log10(1 + hertz / 700)


def hertz_of(mel: float) -> float:
    return float(700 * (10 ** (mel / 2595) - 1))


@lru_cache(8)
def mel_filters(bands: int, size: int, rate: int, lowest: float = 30.0) -> Tensor:
    """Triangles over the frequencies of an FFT of `size`, (bands, size // 2 + 1), each with its
    peak of 1 where its neighbours end; from `lowest` Hz to half the rate."""
    low, high = mel_of(lowest), mel_of(rate / 2)
    edges = [hertz_of(low + (high - low) * i / (bands + 1)) for i in range(bands + 2)]
    hertz = torch.linspace(0, rate / 2, size // 2 + 1, dtype=torch.float64)
    triangles = [
        torch.minimum((hertz - left) / (peak - left), (right - hertz) / (right - peak)).clamp(min=0)
        for left, peak, right in zip(edges, edges[1:], edges[2:], strict=False)
    ]
    return torch.stack(triangles).float()


def log_mel(
    samples: Tensor, rate: int, bands: int = 64, size: int = 1024, hop: int = 128
) -> Tensor:
    """Of sound (N, n) in [-1, 1]: decibels (N, bands, n // hop + 1), 0 for a full-scale sine.

    Windows of `size` samples (Hann), `hop` apart, the first and the last half over the ends.
    """
    window = torch.hann_window(size)
    spectrum = torch.stft(
        samples.float(), size, hop, window=window, pad_mode="constant", return_complex=True
    )
    power = (spectrum.abs() * 2 / window.sum()).square()  # 1 at a sine's frequency
    bands_of = torch.einsum("mf,nft->nmt", mel_filters(bands, size, rate), power)
    return 10 * bands_of.clamp(min=1e-12).log10()


def mel_pictures(samples: Tensor, rate: int, size: int = 64) -> Tensor:
    """Spectrograms to look at, (N, 1, size, size) in [0, 1]: low below, early left, loud bright."""
    hop = max(1, samples.shape[1] // size)
    seen = log_mel(samples, rate, bands=size, hop=hop)[:, :, :size]
    return ((seen - FLOOR) / -FLOOR).clamp(0, 1).flip(1)[:, None]
