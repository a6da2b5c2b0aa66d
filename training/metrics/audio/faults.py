"""What can be wrong with sound, whatever it plays: clipping, silence, an offset."""

from torch import Tensor

CLIPPED = 0.999
SILENT = -60.0  # decibels below full scale
FRAME = 0.05  # seconds


def faults(samples: Tensor, rate: int, sounding: Tensor) -> dict[str, float]:
    """Of sound (n,) in [-1, 1]: the share of samples that are clipped; the share of frames of FRAME
    that are silent where something is to sound, (frames,) bool; how far off zero it is."""
    size = round(FRAME * rate)
    frames = samples[: len(samples) // size * size].view(-1, size)
    loud = 10 * frames.square().mean(1).clamp(min=1e-12).log10()
    count = min(len(loud), len(sounding))
    silent = (loud[:count] < SILENT) & sounding[:count]
    return {
        "clipped": float((samples.abs() >= CLIPPED).double().mean()),
        "silent": float(silent.sum() / sounding[:count].sum().clamp(min=1)),
        "offset": abs(float(samples.double().mean())),
    }


def loudness(samples: Tensor) -> float:
    """Root mean square of sound (n,), in decibels below full scale."""
    return float(10 * samples.double().square().mean().clamp(min=1e-12).log10())
