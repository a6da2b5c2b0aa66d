"""WaveNet's samples against wavenet_vocoder's (r9y9) and the naive loop, on one core.

One net of 3 blocks of 10 layers, 32 residual, 32 gated units and 256 skip channels, 256 classes;
the peer is given the same weights, and that it says the same is checked first. Ours runs as a
worker runs it: by `run_together`, states copied in and out, a chunk a step. The peer's
`incremental_forward` samples one stream alone; over eight it is spared the drawing. The naive loop
runs the whole net over the whole field of 3070 samples for each; spared its head, it takes what
follows the layers for the last sample alone, and spared more, a layer only where a later one looks.
All in seconds of processor time, in turn: what else runs on the machine still slows both, by the
cache it takes, and not both alike.

Needs wavenet-vocoder, which the extra `dev` has.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from bench.bed import report, skip
from models.audio.wavenet import WaveNet
from models.audio.wavenet_torch import Draws, advance
from models.checkpoint.header import Header
from models.checkpoint.weights import Checkpoint
from models.engine.batching import BatchedFn, Placement, run_together
from models.kernels.categorical import draw
from models.nets.wavenet import WaveNetModel as Net

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[1]
RATE = 16_000
STREAMS = (1, 2, 4, 8, 16, 32)
HALF = 0.5**0.5  # the peer scales x by it after every layer


def family_of(net: Net) -> WaveNet:
    """The net as it is served."""
    header = Header(family="wavenet", net={"hop": net.hop}, process={"rate": RATE})
    return WaveNet(Checkpoint(header, net.state_dict(), ""), Placement(CPU))


def sized_net() -> Net:
    torch.manual_seed(0)
    net = Net(hop=160).eval().requires_grad_(False)
    for weight in net.parameters():
        weight.mul_(1.5)  # so that layers matter to what is compared
    return net


def peer_of(net: Net) -> Any:
    """wavenet_vocoder's net with these weights, whose x is ours times HALF to the layer."""
    from wavenet_vocoder import WaveNet as Theirs

    theirs = Theirs(
        layers=net.layers,
        stacks=3,
        residual_channels=net.residual,
        gate_channels=2 * net.gate,
        skip_out_channels=net.skip,
        kernel_size=2,
        dropout=0.0,
        weight_normalization=False,
        legacy=False,
    )
    theirs.make_generation_fast_()  # its first layer is weight-normed whatever it is told
    _set(theirs.first_conv, net.embed.weight.t(), torch.zeros(net.residual))
    told = net.condition(net.unscored(1)[None], torch.tensor([0]))[0, 0]  # (layers, 2 gate)
    skips, nothing = net.gather.weight.split(net.gate, 1), torch.zeros_like(net.gather.bias)
    gates: list[Any] = list(net.gates)
    carry: list[Any] = list(net.carry)
    for number, layer in enumerate(theirs.conv_layers):
        scale = HALF**number
        taps = gates[number].weight.unflatten(1, (2, net.residual)).transpose(1, 2) / scale
        _set(layer.conv, taps, told[number])
        _set(layer.conv1x1_skip, skips[number], nothing if number else net.gather.bias)
        if number < len(carry):
            way = carry[number]
            _set(layer.conv1x1_out, way.weight * scale, way.bias * scale)
    _set(theirs.last_conv_layers[1], net.hidden.weight, net.hidden.bias)
    _set(theirs.last_conv_layers[3], net.out.weight, net.out.bias)
    return theirs.eval().requires_grad_(False)


def _set(convolution: Any, weight: Tensor, bias: Tensor) -> None:
    convolution.weight.data = weight.reshape(convolution.weight.shape).clone()
    convolution.bias.data = bias.clone()


def disagreement(net: Net, theirs: Any) -> float:
    """The largest difference of their incremental logits from our convolution's."""
    given = torch.randint(256, (1, net.hop), generator=torch.Generator().manual_seed(1))
    ours = net(given, net.unscored(1)[None], torch.tensor([0]))[0].t()
    known = F.one_hot(given, 256).transpose(1, 2).float()
    said = theirs.incremental_forward(test_inputs=known, T=net.hop, softmax=False, quantize=False)
    return float((said[0] - ours).abs().max())


def ours_speed(family: WaveNet, streams: int, chunks: int, top_p: float = 1.0) -> float:
    """Samples a second of all streams together, as `run_together` makes them."""
    run: BatchedFn[Any] = family.advance
    rings, length, last, uniforms, roll, style, one, _ = run.example
    rng = torch.Generator().manual_seed(0)
    state = [(rings, length, last)] * streams
    start = time.process_time()
    for _ in range(chunks):
        told = (roll, style, one, torch.tensor(top_p))
        rows = [(*s, torch.rand(uniforms.shape, generator=rng), *told) for s in state]
        state = [tuple(made[1:]) for made in run_together(run, rows, CPU)]  # type: ignore[misc]
    return streams * chunks * family.samples / (time.process_time() - start)


def plain_speed(family: WaveNet, streams: int) -> float:
    """The same by the plain steps."""
    parts = (part.expand(streams, *part.shape) for part in family.weights.silence())
    rings, length, last = (part.clone() for part in parts)
    told = family.net.condition(family.net.unscored(1)[None], torch.tensor([0]))
    ones = torch.ones(streams)
    draws = Draws(torch.rand(streams, family.net.hop), ones, ones)
    start = time.process_time()
    advance(family.weights, (rings, length, last), told.expand(streams, -1, -1, -1), draws)
    return streams * family.net.hop / (time.process_time() - start)


def peer_speed(theirs: Any, streams: int, count: int) -> float:
    """Of wavenet_vocoder's `incremental_forward`."""
    first = F.one_hot(torch.full((streams, 1), 128), 256).transpose(1, 2).float()
    start = time.process_time()
    theirs.incremental_forward(test_inputs=first, T=count, softmax=True, quantize=streams == 1)
    return streams * count / (time.process_time() - start)


def naive_speed(net: Net, count: int, spared: str = "") -> float:
    """Every sample by a convolution over all that it is predicted from, spared its head or more."""
    known, one, style = torch.full((1, net.receptive_field), 128), torch.ones(1), torch.tensor([0])
    whole = Net(hop=net.receptive_field).eval().requires_grad_(False)
    whole.load_state_dict(net.state_dict())
    told, roll = net.condition(net.unscored(1)[None], style)[0, 0], whole.unscored(1)[None]
    start = time.process_time()
    for _ in range(count):
        if spared:
            logits = last_logits(net, known, told, padded=spared == "head")
        else:
            logits = whole(known, roll, style)[:, -1]
        known = torch.cat([known[:, 1:], draw(logits, torch.rand(1), one, one)[0][None]], 1)
    return count / (time.process_time() - start)


def last_logits(net: Net, known: Tensor, told: Tensor, padded: bool) -> Tensor:
    """Logits (B, classes) of the sample after those in `known` (B, T), T the whole field or more.

    `told` (layers, 2 gate) is what each layer is told, the same all along. Padded layers go over
    all T, others only where a later layer looks; what follows the layers over the last in any case.
    """
    x: Tensor = net.embed(known)  # (B, T, residual)
    units = []
    for number, dilation in enumerate(net.dilations):
        x = F.pad(x, (0, 0, dilation, 0)) if padded else x
        before, x = x[:, :-dilation], x[:, dilation:]
        a: Tensor = net.gates[number](torch.cat([before, x], 2)) + told[number]
        signal, gate = a.chunk(2, 2)
        unit = torch.tanh(signal) * torch.sigmoid(gate)
        units.append(unit[:, -1])
        if number < len(net.carry):
            x = x + net.carry[number](unit)
    logits: Tensor = net.out(F.relu(net.hidden(F.relu(net.gather(torch.cat(units, 1))))))
    return logits


def plot(lines: dict[str, dict[int, float]], path: Path) -> None:
    """Samples a second against streams, a line each way."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, points in lines.items():
        axes.plot(list(points), list(points.values()), marker="o", label=name)
    axes.axhline(RATE, ls="--", c="grey", label="one second of sound a second, 16 kHz")
    axes.set(xscale="log", yscale="log", xlabel="streams at once", ylabel="samples a second, all")
    axes.set_xticks(STREAMS, [str(n) for n in STREAMS])
    axes.set_title("WaveNet of 30 layers on one core")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3, which="both")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--plot", type=Path, default=ROOT / "docs/wavenet.png")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")  # the peer's, of a torch long ago
    net = sized_net()
    try:
        theirs = peer_of(net)
    except ImportError:
        skip("wavenet", "wavenet-vocoder is not installed")
        return
    family = family_of(net)
    with torch.inference_mode():
        measure(family, theirs, asked.rounds, asked.plot)


def measure(family: WaveNet, theirs: Any, rounds: int, path: Path) -> None:
    net = family.net
    apart = disagreement(net, theirs)
    ways: dict[str, Callable[[], float]] = {
        "ours": lambda: ours_speed(family, 1, 24),
        "peer": lambda: peer_speed(theirs, 1, 150),
        "naive": lambda: naive_speed(net, 8),
        "headless": lambda: naive_speed(net, 12, "head"),
        "spared": lambda: naive_speed(net, 12, "more"),
        "ours_8": lambda: ours_speed(family, 8, 6),
        "peer_8": lambda: peer_speed(theirs, 8, 100),
        "ours_8_top_p": lambda: ours_speed(family, 8, 6, 0.95),
        "plain": lambda: plain_speed(family, 1),
        "plain_8": lambda: plain_speed(family, 8),
    }
    found = [{name: way() for name, way in ways.items()} for _ in range(rounds + 1)][1:]
    seen = {name: statistics.median(f[name] for f in found) for name in ways}

    def ratio(a: str, b: str) -> float:
        return statistics.median(f[a] / f[b] for f in found)

    peer = "wavenet_vocoder's incremental_forward"
    one = {"ours_samples_s": seen["ours"], "peer_samples_s": seen["peer"], "logits_apart": apart}
    report(f"one stream against {peer}", ratio("ours", "peer"), "30 or more", **one)
    naive = {
        "naive_samples_s": seen["naive"],
        "spared_its_head": ratio("ours", "headless"),
        "spared_more": ratio("ours", "spared"),
        "plain_steps_samples_s": seen["plain"],
    }
    report("one stream against the naive loop", ratio("ours", "naive"), "1000 or more", **naive)
    eight = {"ours_samples_s": seen["ours_8"], "peer_samples_s": seen["peer_8"]}
    report(f"eight streams against {peer}", ratio("ours_8", "peer_8"), "none stated", **eight)
    report("one stream against real time", seen["ours"] / RATE, "1.1 or more")
    more = {"with_top_p": seen["ours_8_top_p"] / RATE, "plain_steps": seen["plain_8"] / RATE}
    report("eight streams against real time", seen["ours_8"] / RATE, "2.5 or more", **more)
    lines = {
        "kernel": {n: ours_speed(family, n, max(4, 48 // n)) for n in STREAMS},
        "plain steps": {n: plain_speed(family, n) for n in STREAMS},
        "wavenet_vocoder": {n: peer_speed(theirs, n, 60) for n in STREAMS},
        "naive loop": {1: seen["naive"]},
    }
    plot(lines, path)


if __name__ == "__main__":
    main()
