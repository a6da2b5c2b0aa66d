import math

import pytest
import torch
from torch import Tensor

from models.score import Note, Score
from training.evaluation.scales import LINES, scale, tones
from training.metrics.audio.pitch import notes_right, yin

RATE = 16_000


def tone(hertz: float, loudness: tuple[float, ...], seconds: float = 0.3) -> Tensor:
    """A harmonic tone of these loudnesses of its partials."""
    phase = 2 * math.pi * hertz * torch.arange(round(seconds * RATE)) / RATE
    return torch.stack([x * torch.sin(k * phase) for k, x in enumerate(loudness, 1)]).sum(0)


@pytest.mark.parametrize("hertz", [82.4, 110.0, 261.63, 440.0, 987.77])
@pytest.mark.parametrize("loudness", [(1.0,), (0.2, 1.0, 0.5), (0.0, 1.0, 1.0)])
def test_the_pitch_of_a_tone_is_found_whatever_its_overtones(
    hertz: float, loudness: tuple[float, ...]
) -> None:
    cents = 1200 * (yin(tone(hertz, loudness), RATE) / hertz).log2()
    assert cents.abs().max() < 10


def test_frames_are_a_hop_apart_and_end_with_the_sound() -> None:
    assert len(yin(torch.zeros(100), RATE)) == 0
    sound = torch.cat([tone(220, (1,)), tone(440, (1,))])
    pitches = yin(sound, RATE)
    assert pitches[10].item() == pytest.approx(220, rel=0.01)
    assert pitches[40].item() == pytest.approx(440, rel=0.01)


def test_every_note_of_plain_scales_is_right() -> None:
    for line in LINES:
        assert notes_right(tones(scale(line), RATE), RATE, scale(line)) == (1.0, 1.0)


def test_an_octave_keeps_the_class_and_a_semitone_does_not() -> None:
    score = scale(LINES[0])
    for step, both in ((12, (0.0, 1.0)), (-12, (0.0, 1.0)), (1, (0.0, 0.0)), (-1, (0.0, 0.0))):
        moved = Score(tuple(Note(n.onset, n.end, n.pitch + step) for n in score.notes))
        assert notes_right(tones(moved, RATE), RATE, score) == both


def test_a_note_that_is_too_short_to_be_heard_is_wrong() -> None:
    score = Score((Note(0, 0.05, 60), Note(0.5, 1.0, 64)))
    assert notes_right(tones(score, RATE), RATE, score) == (0.5, 0.5)
    assert notes_right(torch.zeros(0), RATE, Score(())) == (0.0, 0.0)
