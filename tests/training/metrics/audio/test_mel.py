"""Mel spectrograms against closed forms."""

import math

import pytest
import torch

from training.metrics.audio.mel import hertz_of, log_mel, mel_filters, mel_of, mel_pictures

RATE = 16_000


def tone(hertz: float, loudness: float = 1.0, seconds: float = 0.5) -> torch.Tensor:
    t = torch.arange(round(seconds * RATE), dtype=torch.float64) / RATE
    return (loudness * torch.sin(2 * math.pi * hertz * t)).float()[None]


def test_a_thousand_hertz_are_a_thousand_mel() -> None:
    assert mel_of(1000) == pytest.approx(1000, abs=0.1)
    assert hertz_of(mel_of(432.1)) == pytest.approx(432.1)


def test_between_the_first_and_the_last_peak_filters_sum_to_one() -> None:
    filters = mel_filters(40, 4096, RATE)
    peaks = filters.argmax(1)
    assert torch.allclose(filters.sum(0)[peaks[0] + 1 : peaks[-1]], torch.ones(()), atol=1e-5)


@pytest.mark.parametrize("hertz", [440.0, 1000.0, 3000.0])
def test_a_tone_is_where_its_pitch_is_and_as_loud_as_it_is(hertz: float) -> None:
    for loudness, decibels in ((1.0, 0.0), (0.1, -20.0)):
        seen = log_mel(tone(hertz, loudness), RATE)[0, :, 20:-20]
        band = int(seen.mean(1).argmax())
        edges = [mel_of(30) + (mel_of(RATE / 2) - mel_of(30)) * i / 65 for i in range(66)]
        assert edges[band] < mel_of(hertz) < edges[band + 2]
        nearby = seen[max(0, band - 1) : band + 2].mean(1).max()  # it may lie between two peaks
        assert decibels - 6 < nearby < decibels + 2


def test_pictures_are_pictures() -> None:
    sound = torch.cat([tone(200), tone(3000), torch.zeros(1, 8000)])
    low, high, nothing = mel_pictures(sound, RATE)
    assert low.shape == (1, 64, 64)
    assert low[0].mean(1).argmax() > high[0].mean(1).argmax()  # low is below
    assert nothing.max() == 0
    assert 0.9 < low.max() <= 1
