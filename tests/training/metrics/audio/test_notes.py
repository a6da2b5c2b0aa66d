"""Figures of music on sound whose figures are known."""

import math

import pytest
import torch

from models.score import DRUMS, Note, Score
from training.metrics.audio.faults import FRAME, faults, loudness
from training.metrics.audio.notes import (
    onset_f1,
    onsets,
    pitches_right,
    score_chroma,
    score_onsets,
)
from training.metrics.audio.style_classifier import train_style_classifier

RATE = 16_000


def tone(pitch: float, seconds: float, level: float = 0.3) -> torch.Tensor:
    """With its first harmonics, and an end that does not click."""
    t = torch.arange(round(seconds * RATE)) / RATE
    hertz = 440 * 2 ** ((pitch - 69) / 12)
    wave = sum(torch.sin(2 * math.pi * hertz * k * t) / k**2 for k in range(1, 5))
    fade = (t / 0.005).clamp(max=1) * ((seconds - t) / 0.02).clamp(0, 1)
    return level * wave * fade


def played(score: Score, seconds: float) -> torch.Tensor:
    sound = torch.zeros(round(seconds * RATE))
    for note in score.notes:
        first, wave = round(note.onset * RATE), tone(note.pitch, note.end - note.onset)
        sound[first : first + len(wave)] += wave
    return sound / sound.abs().max() * 0.9


SCALE = Score(tuple(Note(0.3 + i * 0.5, 0.75 + i * 0.5, 55 + 2 * i) for i in range(8)))
CHORDS = Score(
    tuple(Note(0.3 + i, 1.2 + i, 48 + 5 * i + step) for i in range(4) for step in (0, 4, 7))
)


@pytest.mark.parametrize("score", [SCALE, CHORDS])
def test_what_is_played_has_the_pitches_of_its_score(score: Score) -> None:
    sound = played(score, 5)
    assert pitches_right(sound, RATE, score) > 0.9
    other = Score(tuple(Note(n.onset, n.end, n.pitch + 6) for n in score.notes))
    assert pitches_right(sound, RATE, other) < 0.3


def test_percussion_has_no_pitch_classes() -> None:
    drum = Note(0, 1, 36, program=DRUMS)
    assert not score_chroma(Score((drum,)), 10).any()
    both = score_chroma(Score((drum, Note(0.2, 0.5, 61))), 8)
    assert both.nonzero().tolist() == [[2, 1], [3, 1], [4, 1]]


def test_beginnings_are_heard_where_they_are() -> None:
    sound = played(SCALE, 5)
    heard = onsets(sound, RATE)
    assert heard == pytest.approx([note.onset for note in SCALE.notes], abs=0.03)
    assert onset_f1(sound, RATE, SCALE) == 1
    late = Score(tuple(Note(n.onset + 0.2, n.end + 0.2, n.pitch) for n in SCALE.notes))
    assert onset_f1(sound, RATE, late) == 0
    half = Score(SCALE.notes[:4])
    assert onset_f1(sound, RATE, half) == pytest.approx(2 * 4 / (4 + 8))


def test_notes_that_begin_together_are_one_beginning() -> None:
    notes = (Note(0, 1, 60), Note(0.01, 1, 64), Note(0.02, 1, 67), Note(0.5, 1, 70))
    assert score_onsets(Score(notes)) == [0, 0.5]


def test_faults_are_found_where_they_are() -> None:
    sound = 0.5 * torch.sin(torch.arange(RATE) * 0.3)
    sound[: RATE // 4] = 0
    frames = round(1 / FRAME)
    sounding = torch.ones(frames, dtype=torch.bool)
    figures = faults(sound + 0.1, RATE, sounding)
    assert figures["clipped"] == 0
    assert figures["offset"] == pytest.approx(0.1, abs=1e-3)
    assert faults(sound, RATE, sounding)["silent"] == pytest.approx(0.25, abs=0.01)
    sounding[: frames // 2] = False
    assert faults(sound, RATE, sounding)["silent"] == 0
    assert faults((4 * sound).clamp(-1, 1), RATE, sounding)["clipped"] > 0.3
    assert loudness(torch.ones(10)) == 0
    assert loudness(0.1 * torch.ones(10)) == pytest.approx(-20)


def test_an_ear_tells_styles_that_sound_differently() -> None:
    rng = torch.Generator().manual_seed(0)
    low, high = (
        torch.stack([tone(p + 10 * torch.rand((), generator=rng).item(), 0.5) for _ in range(40)])
        for p in (45, 75)
    )
    style = torch.arange(2).repeat_interleave(30)
    classifier = train_style_classifier(torch.cat([low[:30], high[:30]]), style, RATE)
    assert classifier.styles(torch.cat([low[30:], high[30:]])).tolist() == [0] * 10 + [1] * 10
