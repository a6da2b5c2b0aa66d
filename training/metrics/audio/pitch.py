"""The pitch of single notes by YIN, and which notes of a score sound as they are written.

It is signal processing without a net, for one note at a time.
"""

import torch
from torch import Tensor

from models.score import OCTAVE, Note, Score

LOWEST, HIGHEST = 80.0, 1200.0  # hertz that are looked for
WINDOW = 0.064  # seconds that are compared with themselves
HOP = 0.01  # seconds from one pitch to the next
THRESHOLD = 0.1  # of the normalized difference, as in the paper
NEAR = 0.5  # semitones that a note may be off
EDGE = 0.25  # of a note's length that is left out at its beginning, and at its end


def yin(samples: Tensor, rate: int) -> Tensor:
    """Returns the fundamental frequency in hertz, (frames,), a frame each HOP, of sound (n,).

    De Cheveigné and Kawahara 2002, steps 2 to 5: of the lags whose normalized difference (equation
    8) has a minimum below the threshold the smallest, else the lag of the least; refined by a
    parabola. A frame begins at its time. There is no frame where the sound ends within it.
    """
    size, longest = round(WINDOW * rate), int(rate / LOWEST) + 1
    whole = size + longest + 1
    if len(samples) < whole:
        return torch.zeros(0)
    frames = samples.double().unfold(0, whole, round(HOP * rate))  # (F, whole)
    first = frames[:, :size]
    difference = torch.stack(
        [(first - frames[:, lag : lag + size]).square().sum(1) for lag in range(longest + 2)], 1
    )
    lags = torch.arange(1, longest + 2)
    total = difference[:, 1:].cumsum(1).clamp(min=1e-12)
    normal = torch.cat([torch.ones(len(frames), 1), difference[:, 1:] * lags / total], 1)
    middle = normal[:, 1:-1]
    valley = (middle <= normal[:, :-2]) & (middle < normal[:, 2:])
    valley &= torch.arange(1, longest + 1) >= rate / HIGHEST
    deep = valley & (middle < THRESHOLD)
    smallest = deep.int().argmax(1)
    least = torch.where(valley, middle, torch.inf).argmin(1)
    best = torch.where(deep.any(1), smallest, least)[:, None] + 1
    before, at, after = (normal.gather(1, best + step) for step in (-1, 0, 1))
    bend = (before - 2 * at + after).clamp(min=1e-12)
    lag = best + ((before - after) / (2 * bend)).clamp(-1, 1)
    return (rate / lag.squeeze(1)).float()


def notes_right(samples: Tensor, rate: int, score: Score) -> tuple[float, float]:
    """Returns the share of a melody's notes that sound at their pitch, and at their pitch class.

    A note's pitch is the median of its middle half, and is right within half a semitone.
    """
    pitches = yin(samples, rate)
    off = [_off(note, pitches, WINDOW) for note in score.notes]
    right = [abs(semitones) <= NEAR for semitones in off]
    alike = [abs((semitones + OCTAVE / 2) % OCTAVE - OCTAVE / 2) <= NEAR for semitones in off]
    count = max(1, len(off))
    return sum(right) / count, sum(alike) / count


def _off(note: Note, pitches: Tensor, window: float) -> float:
    """Returns by how many semitones a note sounds too high; infinitely where it is not heard."""
    edge = EDGE * (note.end - note.onset)
    frames = pitches[round((note.onset + edge) / HOP) : round((note.end - edge - window) / HOP) + 1]
    if not len(frames):
        return float("inf")
    return 69 + OCTAVE * float((frames.median() / 440).log2()) - note.pitch
