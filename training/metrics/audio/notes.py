"""Whether sound has the notes of its score: pitch classes frame by frame, and onsets.

Both are signal processing without a net, so compare them with what real recordings reach.
"""

import torch
from torch import Tensor

from models.score import DRUMS, OCTAVE, Score
from training.metrics.audio.mel import log_mel

SIZE = 4096  # samples of a spectrum of pitches
LOWEST, HIGHEST = 80.0, 2000.0  # hertz that are listened to
HOP = 0.1  # seconds from one spectrum of pitches to the next
NEAR = 0.05  # seconds that two onsets are the same within
STEP = 0.01  # seconds from one spectrum of onsets to the next
QUIET = -60.0  # decibels: what is softer has no onset
RISE = 1.5  # decibels in the mean of all bands that make an onset


def chroma(samples: Tensor, rate: int) -> Tensor:
    """How loud each pitch class is, (frames, 12): square roots of energies, a frame each HOP."""
    window = torch.hann_window(SIZE)
    hop = round(HOP * rate)
    spectrum = torch.stft(
        samples, SIZE, hop, window=window, pad_mode="constant", return_complex=True
    )
    hertz = torch.arange(SIZE // 2 + 1) * rate / SIZE
    heard = (hertz >= LOWEST) & (hertz <= HIGHEST)
    pitch = 69 + OCTAVE * (hertz[heard] / 440).log2()
    near = (1 - 2 * (pitch - pitch.round()).abs()).clamp(min=0)  # between two keys neither
    energy = spectrum[heard].abs().sqrt() * near[:, None]
    classes = torch.zeros(OCTAVE, energy.shape[1])
    return classes.index_add_(0, pitch.round().long() % OCTAVE, energy).t()


def score_chroma(score: Score, frames: int) -> Tensor:
    """Which pitch classes sound in the middle of each frame, (frames, 12) bool."""
    classes = torch.zeros(frames, OCTAVE, dtype=torch.bool)
    when = torch.arange(frames) * HOP
    for note in score.notes:
        if note.program != DRUMS:
            classes[(when >= note.onset) & (when < note.end), note.pitch % OCTAVE] = True
    return classes


def pitches_right(samples: Tensor, rate: int, score: Score) -> float:
    """Of the k pitch classes that sound in a frame, the share that is among its k loudest."""
    heard = chroma(samples, rate)
    expected = score_chroma(score, len(heard))
    rank = heard.argsort(1, descending=True).argsort(1)
    correct = expected & (rank < expected.sum(1, keepdim=True))
    return float(correct.sum() / expected.sum().clamp(min=1))


def onsets(samples: Tensor, rate: int) -> list[float]:
    """Returns the onsets, in seconds: peaks of what rises in a mel spectrogram."""
    seen = log_mel(samples[None], rate, bands=40, size=512, hop=round(STEP * rate))[0]
    seen = seen.clamp(min=QUIET)
    rise = (seen[:, 2:] - seen[:, :-2]).clamp(0, 30).mean(0)  # (frames - 2,)
    wide = torch.nn.functional.max_pool1d(rise[None], 7, 1, 3)[0]
    mean = torch.nn.functional.avg_pool1d(rise[None], 31, 1, 15, count_include_pad=False)[0]
    peaks = (rise == wide) & (rise > mean + RISE)
    return [(frame + 1) * STEP for frame in peaks.nonzero().flatten().tolist()]


def score_onsets(score: Score) -> list[float]:
    """Returns when notes begin; notes that begin almost together count once."""
    times: list[float] = []
    for onset in sorted({note.onset for note in score.notes}):
        if not times or onset - times[-1] > NEAR / 2:
            times.append(onset)
    return times


def onset_f1(samples: Tensor, rate: int, score: Score) -> float:
    """Returns F1 of the onsets: each of the score's matches one in the sound at most."""
    expected, heard = score_onsets(score), onsets(samples, rate)
    met, left = 0, list(heard)
    for time in expected:
        nearest = min(left, key=lambda other: abs(other - time), default=None)
        if nearest is not None and abs(nearest - time) <= NEAR:
            left.remove(nearest)
            met += 1
    return 2 * met / max(1, len(expected) + len(heard))
