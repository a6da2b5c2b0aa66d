"""WaveNet's net: it never sees the future, and sees as much of the past as it says."""

import pytest
import torch
from torch import Tensor

from models.nets.wavenet import WaveNetModel

NET = {"blocks": 2, "layers": 3, "residual": 8, "gate": 6, "skip": 12, "classes": 16}
TOLD = {"styles": 2, "pitches": 5, "hop": 4, "around": 2, "width": 8}
FRAMES = 10


@pytest.fixture
def net() -> WaveNetModel:
    torch.manual_seed(0)
    return WaveNetModel(**NET, **TOLD).double().eval().requires_grad_(False)


def run(net: WaveNetModel, previous: Tensor, roll: Tensor | None = None, style: int = 2) -> Tensor:
    roll = net.unscored(FRAMES) if roll is None else net.scored(roll)
    return net(previous, roll[None].double(), torch.tensor([style]))[0]


def changed(a: Tensor, b: Tensor) -> list[int]:
    """The samples whose logits differ."""
    return (a != b).any(1).nonzero().flatten().tolist()


def sound() -> Tensor:
    return torch.randint(16, (1, 4 * FRAMES), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("index", [0, 7, 20, 39])
def test_a_sample_reaches_those_after_it_as_far_as_the_field(net: WaveNetModel, index: int) -> None:
    assert net.receptive_field == 2 * 7 + 1
    other = sound()
    other[0, index] = (other[0, index] + 1) % 16
    reached = changed(run(net, sound()), run(net, other))
    assert reached == list(range(index, min(index + net.receptive_field, 40)))


def test_the_field_of_the_papers_size() -> None:
    with torch.device("meta"):
        assert WaveNetModel(blocks=3, layers=10).receptive_field == 3070


def test_a_note_is_heard_from_some_frames_before_it(net: WaveNetModel) -> None:
    silent, note = torch.zeros(FRAMES, 5), torch.zeros(FRAMES, 5)
    note[6, 3] = 1.0
    reached = changed(run(net, sound(), silent), run(net, sound(), note))
    assert reached[0] == (6 - TOLD["around"]) * TOLD["hop"]


def test_silence_is_another_thing_than_an_unknown_score(net: WaveNetModel) -> None:
    assert changed(run(net, sound()), run(net, sound(), torch.zeros(FRAMES, 5)))


def test_styles_differ(net: WaveNetModel) -> None:
    results = [run(net, sound(), style=s) for s in range(3)]
    assert changed(results[0], results[1])
    assert changed(results[1], results[2])


def test_a_part_of_a_roll_tells_what_the_whole_does(net: WaveNetModel) -> None:
    roll = torch.rand(FRAMES, 5, generator=torch.Generator().manual_seed(2)).double()
    style = torch.tensor([0])
    whole = net.scored(roll)
    conditioning = net.condition(whole[None], style)
    fraction = net.condition(whole[None, 3 : 5 + 2 * net.around], style)
    assert torch.allclose(fraction, conditioning[:, 3:5])


def test_a_net_without_styles_and_pitches_runs() -> None:
    torch.manual_seed(0)
    net = WaveNetModel(**NET, hop=4)
    assert run(net.double(), sound(), style=0).shape == (40, 16)


@pytest.mark.parametrize("wrong", [{"blocks": 0}, {"layers": 17}, {"classes": 1}, {"around": -1}])
def test_a_net_that_can_not_be_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="WaveNet needs"):
        WaveNetModel(**{**NET, **TOLD, **wrong})
