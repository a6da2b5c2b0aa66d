"""The learner of WaveNet at tiny size, on tones that a score says."""

import math
from typing import Any

import pytest
import torch

from models.audio import mulaw
from models.audio.wavenet import WaveNet
from models.checkpoint.header import Header
from models.checkpoint.weights import Checkpoint
from models.engine.batching import Placement
from models.engine.flow import run_alone
from models.engine.noise import seeded
from models.nets.wavenet import WaveNetModel as Net
from models.params.audio import WaveNetParams
from tests.training.learners.test_latent_diffusion import goes_on_exactly, run
from training.errors import TrainingRefused
from training.learners.standard import StandardLearner
from training.learners.wavenet import (
    WaveNetObjective,
    WaveNetSettings,
    _crops,
    _windows,
    measure_bits,
    played,
)
from training.recipe import Data

CPU = torch.device("cpu")
HOP, FRAMES = 20, 30
CARD = Header(
    family="wavenet",
    net={
        "blocks": 1,
        "layers": 6,
        "residual": 12,
        "gate": 12,
        "skip": 24,
        "classes": 64,
        "styles": 2,
        "pitches": 2,
        "hop": HOP,
        "around": 1,
        "width": 8,
    },
    process={"rate": 4000},
    labels=["low", "high"],
)


def tones(count: int, as_classes: bool = True) -> tuple[torch.Tensor, ...]:
    """One of two tones, which the roll says from its middle on; silence before."""
    pitch = torch.arange(count) % 2
    roll = torch.zeros(count, FRAMES, 2, dtype=torch.uint8)
    roll[torch.arange(count), FRAMES // 2 :, pitch] = 255
    t = torch.arange(FRAMES * HOP) / 4000
    wave = 0.5 * torch.sin(2 * math.pi * torch.tensor([200.0, 500.0])[pitch, None] * t)
    wave[:, : FRAMES * HOP // 2] = 0
    sound = mulaw.encode(wave, 64).byte() if as_classes else (wave * 32767).short()
    return sound, roll, pitch


def learner(**changed: float) -> StandardLearner[Any]:
    settings = {"steps": 60, "warmup": 5, "crop": 20, "rate": 1e-2, **changed}
    return StandardLearner(WaveNetObjective(CARD, WaveNetSettings(**settings), CPU))  # type: ignore[arg-type]


def test_it_learns_and_goes_on_exactly() -> None:
    goes_on_exactly(learner, tones(4))
    losses = run(learner(), tones(4), 0, 60)
    assert losses[0] > 5  # of log2(64) = 6 bits
    assert losses[-1] < 2.5


def test_bits_of_a_net_that_says_nothing_are_those_of_chance() -> None:
    net = Net(**CARD.net)  # type: ignore[arg-type]
    torch.nn.init.zeros_(net.out.weight)
    torch.nn.init.zeros_(net.out.bias)
    data = Data(tones(2), tones(2))
    bits = measure_bits(CARD, net.state_dict(), data)
    assert bits.pop("test_bits_linear") < 6
    assert bits == dict.fromkeys(
        ("test_bits", "test_bits_untold", "test_bits_uniform"), pytest.approx(6)
    )


def test_sound_and_classes_teach_alike() -> None:
    first = torch.tensor([0, 3])
    net = Net(**CARD.net)  # type: ignore[arg-type]
    for a, b in zip(
        _crops(net, tones(2)[0], first, 10),
        _crops(net, tones(2, as_classes=False)[0], first, 10),
        strict=True,
    ):
        assert torch.equal(a, b)


def test_a_crop_is_a_part_of_the_whole() -> None:
    net = Net(**CARD.net)  # type: ignore[arg-type]
    sound, roll, _ = tones(2)
    begin = torch.zeros(2, dtype=torch.long)
    previous, target = _crops(net, sound, begin, FRAMES)
    assert torch.equal(target, sound.long())
    assert torch.equal(previous[:, 1:], target[:, :-1])
    assert (previous[:, 0] == mulaw.encode(torch.zeros(()), 64)).all()
    crop = _crops(net, sound, torch.tensor([14, 14]), 5)
    assert torch.equal(crop[0], previous[:, 14 * HOP : 19 * HOP])
    assert torch.equal(crop[1], target[:, 14 * HOP : 19 * HOP])
    whole = net.scored(roll / 255)
    assert torch.equal(_windows(net, roll, torch.tensor([14, 14]), 5), whole[:, 14:21])


def test_what_it_is_told_is_left_out_now_and_then() -> None:
    trained = learner(free=0.2, style_dropout=0.25, score_dropout=0.5)
    style = torch.zeros(4000, dtype=torch.long)
    objective: Any = trained.objective
    roll, dropped = objective.dropped(torch.ones(4000, 3, 3), style, seeded(1))
    unscored, unstyled = (roll == 0).all((1, 2)), dropped == 2
    assert unstyled.float().mean() == pytest.approx(0.2 + 0.8 * 0.25, abs=0.03)
    assert unscored.float().mean() == pytest.approx(0.2 + 0.8 * 0.5, abs=0.03)
    both = (unscored & unstyled).float().mean()
    assert both == pytest.approx(0.2 + 0.8 * 0.125, abs=0.03)
    assert (roll[~unscored] == 1).all()


def test_its_sheet_has_a_spectrogram_a_row() -> None:
    trained = learner(shown=0.2)
    assert trained.sample(3, seeded(0)).shape == (3, 1, 64, 64)  # nothing was learnt yet
    run(trained, tones(4), 0, 2)
    sheet = trained.sample(6, seeded(0))
    assert sheet.shape == (6, 1, 64, 64)
    assert torch.equal(sheet, trained.sample(6, seeded(0)))
    assert 0 <= sheet.min() < sheet.max() <= 1


@pytest.mark.slow
def test_it_plays_what_the_score_says_and_is_served_so() -> None:
    trained = learner(free=0.0, style_dropout=0.0, score_dropout=0.0, steps=150)
    run(trained, tones(8), 0, 150)
    net = trained.average.net
    _, roll, style = tones(2)
    wave = played(net, net.scored(roll / 255), style, seeded(2))[:, FRAMES * HOP // 2 + 100 :]
    loudest = torch.fft.rfft(wave).abs().argmax(1) * 4000 / wave.shape[1]
    assert loudest.tolist() == pytest.approx([200, 500], abs=40)
    family = WaveNet(Checkpoint(CARD, trained.weights(), ""), Placement(CPU))
    (audio,) = run_alone(family.generate(WaveNetParams(seconds=0.05), seeded(1)))
    assert audio.samples.shape == (1, 200)


@pytest.mark.parametrize("fault", ["hop", "pitches", "kind"])
def test_columns_that_do_not_fit_are_refused(fault: str) -> None:
    sound, roll, style = tones(2)
    columns = {
        "hop": (sound[:, :-1], roll, style),
        "pitches": (sound, roll[..., :1], style),
        "kind": (sound.float(), roll, style),
    }[fault]
    with pytest.raises(TrainingRefused):
        learner().step(columns, seeded(0))
