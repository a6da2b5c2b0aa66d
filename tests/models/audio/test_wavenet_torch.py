"""WaveNet a sample at a time, plain and as machine code, against its convolutions over all."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from models.audio import mulaw, wavenet_numba, wavenet_torch
from models.audio.wavenet_torch import Advanced, Draws, Stacked, State
from models.kernels import categorical_numba
from models.kernels.categorical import draw
from models.kernels.simd import LANES
from models.nets.wavenet import WaveNetModel

NET = {"blocks": 2, "layers": 4, "residual": 9, "gate": 7, "skip": 18, "classes": 24}
TOLD = {"styles": 2, "pitches": 5, "hop": 8, "around": 1, "width": 8}
FRAMES = 6
COUNT = FRAMES * TOLD["hop"]
Advance = Callable[[State, Tensor, Draws], Advanced]


@pytest.fixture(scope="module")
def net() -> WaveNetModel:
    torch.manual_seed(0)
    built = WaveNetModel(**NET, **TOLD).eval().requires_grad_(False)
    for parameter in built.parameters():
        parameter.mul_(1.5)  # so that samples matter to those after them
    return built


@pytest.fixture(scope="module", params=["plain", "kernel"])
def advance(request: pytest.FixtureRequest, net: WaveNetModel) -> Advance:
    return advances(net)[request.param]


def advances(net: WaveNetModel) -> dict[str, Advance]:
    weights = Stacked(net)
    packed = wavenet_numba.packed(weights)
    return {
        "plain": lambda *inputs: wavenet_torch.advance(weights, *inputs),
        "kernel": lambda *inputs: wavenet_numba.advance(packed, *inputs),
    }


def asked(
    net: WaveNetModel, streams: int, temperature: float = 1.0, top_p: float = 1.0
) -> tuple[State, Tensor, Draws]:
    """Streams of a score, a style and draws each, before their first sample."""
    rng = torch.Generator().manual_seed(1)
    roll = torch.rand(streams, FRAMES, net.pitches, generator=rng)
    conditioning = net.condition(net.scored(roll), torch.arange(streams) % 3)
    silence = zip(*(Stacked(net).silence() for _ in range(streams)), strict=True)
    state = tuple(torch.stack(parts) for parts in silence)
    uniforms = torch.rand(streams, COUNT, generator=rng)
    draws = Draws(uniforms, torch.full((streams,), temperature), torch.full((streams,), top_p))
    return state, conditioning, draws  # type: ignore[return-value]


def rows_of(inputs: tuple[State, Tensor, Draws], rows: list[int]) -> tuple[State, Tensor, Draws]:
    (rings, length, last), conditioning, draws = inputs
    parts = (draws.uniforms[rows], draws.temperature[rows], draws.top_p[rows])
    return (rings[rows], length[rows], last[rows]), conditioning[rows], Draws(*parts)


def predecessors(net: WaveNetModel, classes: Tensor) -> Tensor:
    """What a convolution over all samples (B, T) is given."""
    silence = mulaw.encode(torch.zeros(len(classes), 1), net.classes)
    return torch.cat([silence, classes[:, :-1]], 1)


def logits_of(net: WaveNetModel, classes: Tensor) -> Tensor:
    """By convolutions over all, of the streams of `asked`, (B, T, classes)."""
    rng = torch.Generator().manual_seed(1)
    roll = torch.rand(len(classes), FRAMES, net.pitches, generator=rng)
    style = torch.arange(len(classes)) % 3
    return net(predecessors(net, classes), net.scored(roll), style)


def kernel_logits(net: WaveNetModel, classes: Tensor) -> Tensor:
    """By the kernel's single step, each stream by itself and told what its samples were."""
    weights = wavenet_numba.packed(Stacked(net))
    (rings, length, _), conditioning, _ = asked(net, len(classes))
    scratch, logits = wavenet_numba.scratch_for(weights), []
    for k, previous in enumerate(predecessors(net, classes).unbind(1)):
        for row, number in enumerate(previous.tolist()):
            scratch.both[0, net.residual : 2 * net.residual] = weights.embed[number]
            frame = conditioning[:, k // net.hop].contiguous().numpy()
            wavenet_numba.next_logits(
                weights, scratch, (rings.numpy(), length.numpy()), frame, row, 1
            )
            logits.append(torch.tensor(scratch.logits[0, : net.classes]))
        length += 1
    return torch.stack(logits).unflatten(0, (-1, len(classes))).transpose(0, 1)


def plain_logits(net: WaveNetModel, classes: Tensor) -> Tensor:
    weights = Stacked(net)
    (rings, length, _), conditioning, _ = asked(net, len(classes))
    logits = [
        wavenet_torch.next_logits(
            weights, (rings, length + k, previous), conditioning[:, k // net.hop]
        )
        for k, previous in enumerate(predecessors(net, classes).unbind(1))
    ]
    return torch.stack(logits, 1)


@pytest.mark.slow
@pytest.mark.parametrize("stepped", [plain_logits, kernel_logits])
def test_steps_give_the_logits_of_the_convolution(
    net: WaveNetModel, stepped: Callable[[WaveNetModel, Tensor], Tensor]
) -> None:
    classes = torch.randint(24, (3, COUNT), generator=torch.Generator().manual_seed(2))
    assert net.receptive_field < COUNT  # so that every ring has gone round
    whole = logits_of(net, classes)
    assert whole.std() > 0.2
    assert torch.allclose(stepped(net, classes), whole, atol=1e-4)


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.7, 0.8)])
def test_samples_are_those_that_the_convolution_would_draw(
    net: WaveNetModel, advance: Advance, temperature: float, top_p: float
) -> None:
    """Each lies where its uniform falls in the distribution of its predecessors, rounding aside."""
    inputs = asked(net, 3, temperature, top_p)
    classes = mulaw.encode(advance(*inputs)[0], net.classes)
    p = torch.softmax(logits_of(net, classes).double() / temperature, 2)
    least = least_kept(p, top_p)
    kept = torch.where(p >= least * (1 - 1e-5), p, 0)
    passed = kept.cumsum(2) / kept.sum(2, keepdim=True)
    above = passed.gather(2, classes[..., None])[..., 0]
    below = above - (kept / kept.sum(2, keepdim=True)).gather(2, classes[..., None])[..., 0]
    u = inputs[2].uniforms
    assert ((below <= u + 1e-4) & (u <= above + 1e-4)).all()
    assert len(classes.unique()) > 12


def least_kept(p: Tensor, top_p: float) -> Tensor:
    """By the words of `Draws`, one class after another."""
    least = torch.zeros(*p.shape[:-1], 1, dtype=p.dtype)
    for index in torch.cartesian_prod(*(torch.arange(n) for n in p.shape[:-1])):
        reached = 0.0
        for chance in sorted(p[tuple(index)].tolist(), reverse=True):
            reached += chance
            least[tuple(index)] = chance
            if reached >= top_p:
                break
    return least if top_p < 1 else torch.zeros_like(least)


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.6, 1.0), (1.0, 0.7)])
def test_the_kernel_makes_the_samples_of_the_plain_steps(
    net: WaveNetModel, temperature: float, top_p: float
) -> None:
    """Their states differ by rounding: at most 1e-5 where samples are the same."""
    inputs = asked(net, 6, temperature, top_p)
    plain, kernel = (advances(net)[name](*inputs) for name in ("plain", "kernel"))
    assert torch.equal(plain[0], kernel[0])
    assert torch.allclose(plain[1], kernel[1], atol=1e-5)
    assert all(torch.equal(a, b) for a, b in zip(plain[2:], kernel[2:], strict=True))


@pytest.fixture(params=[1, 2, 3, 16])
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
def test_a_stream_keeps_its_bits_in_any_company(net: WaveNetModel) -> None:
    kernel, inputs = advances(net)["kernel"], asked(net, 9, top_p=0.9)
    inputs[0][0][3] = torch.nan
    inputs[2].uniforms[6] = torch.nan
    alone = [kernel(*rows_of(inputs, [row])) for row in range(9)]
    for rows in ([0, 1], [2, 1, 0], [4, 3, 5, 7], [8, 3, 3, 6, 2], list(range(9))):
        together = kernel(*rows_of(inputs, rows))
        for index, row in enumerate(rows):
            for got, want in zip(together, alone[row], strict=True):
                assert torch.equal(got[index].nan_to_num(9.0), want[0].nan_to_num(9.0))
    assert alone[3][0][0, 0].isnan()
    assert alone[6][0].isnan().all()


def test_two_chunks_are_one(net: WaveNetModel, advance: Advance) -> None:
    state, conditioning, draws = asked(net, 2)
    whole = advance(state, conditioning, draws)
    samples = []
    for frames in (slice(0, 2), slice(2, FRAMES)):
        chunk = slice(frames.start * net.hop, frames.stop * net.hop)
        chunk_draws = Draws(draws.uniforms[:, chunk], draws.temperature, draws.top_p)
        advanced, *after = advance(state, conditioning[:, frames], chunk_draws)
        samples.append(advanced)
        state = (after[0], after[1], after[2])
    assert torch.equal(torch.cat(samples, 1), whole[0])
    assert all(torch.equal(a, b) for a, b in zip(state, whole[1:], strict=True))


def test_what_is_given_stays_as_it_was(net: WaveNetModel, advance: Advance) -> None:
    inputs, same = asked(net, 2), asked(net, 2)
    first, again = advance(*inputs), advance(*inputs)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(inputs[0], same[0], strict=True))


@pytest.mark.parametrize("broken", ["uniforms", "temperature", "rings"])
def test_what_is_no_number_makes_none(net: WaveNetModel, advance: Advance, broken: str) -> None:
    state, conditioning, draws = asked(net, 2)
    places = {"uniforms": draws.uniforms, "temperature": draws.temperature, "rings": state[0]}
    places[broken][1] = torch.nan
    samples, _, _, last = advance(state, conditioning, draws)
    broken_samples = (
        samples[1, :1] if broken == "rings" else samples[1]
    )  # they are left behind in time
    assert broken_samples.isnan().all()
    assert samples[0].isfinite().all()
    assert 0 <= last[1] < net.classes


def test_draws_follow_the_chances() -> None:
    logits = torch.tensor([0.5, 0.2, 0.25, 0.05]).log().expand(1000, 4)
    u = (torch.arange(1000) + 0.5) / 1000
    ones = torch.ones(1000)
    for temperature, top_p, want in (
        (1.0, 1.0, [500, 200, 250, 50]),
        (1.0, 0.75, [667, 0, 333, 0]),  # 0.5 and 0.25 are enough
        (1.0, 0.4, [1000, 0, 0, 0]),
        (0.5, 1.0, [725, 116, 181, 7]),  # squared: 0.25, 0.04, 0.0625, 0.0025 of 0.355
    ):
        number, sound = draw(logits, u, ones * temperature, ones * top_p - 1e-6 * (top_p < 1))
        counts = number.bincount(minlength=4).tolist()
        assert sound.all()
        assert all(abs(a - b) <= 25 for a, b in zip(counts, want, strict=True)), counts


def test_the_ends_of_a_draw() -> None:
    logits = torch.tensor([[-torch.inf, 0.0, 0.0, -torch.inf]]).expand(3, 4)
    u, ones = torch.tensor([0.0, 0.9999999, 2.0]), torch.ones(3)
    assert draw(logits, u, ones, ones)[0].tolist() == [1, 2, 2]


def drawn_plainly(logits: Tensor) -> int:
    ones = torch.ones(1)
    number, sound = draw(logits[None], ones / 2, ones, ones)
    return int(number) if sound else -1


def drawn_by_the_kernel(logits: Tensor) -> int:
    half, one = np.float32(0.5), np.float32(1)
    chances, parts = (np.zeros(LANES, np.float32) for _ in range(2))
    return categorical_numba.draw(logits.numpy(), half, one, one, chances, parts)


@pytest.mark.parametrize("drawn", [drawn_plainly, drawn_by_the_kernel])
@pytest.mark.parametrize("index", [0, 1, 3, 8])
def test_a_logit_that_is_none_makes_none(drawn: Callable[[Tensor], int], index: int) -> None:
    logits = torch.linspace(1, 2, 9)
    assert drawn(logits) >= 0
    for value in (torch.nan, torch.inf):
        logits[index] = value
        assert drawn(logits) == -1
    logits[index] = -torch.inf
    assert drawn(logits) not in (-1, index)
    assert drawn(torch.full((9,), -torch.inf)) == -1
