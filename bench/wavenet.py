"""WaveNet's samples against wavenet_vocoder's (r9y9) and the naive loop, on one core.

The net has 3 blocks of 10 layers, 32 residual and 32 gated units, 256 skip channels and 256
classes. The peer gets the same weights, and the bench first reports how far its logits differ.

- Ours runs as in a worker: by `run_together`, states copied in and out, a chunk a step.
- The peer's `incremental_forward` samples one stream; with eight, it doesn't draw.
- The naive loop runs the whole net over its field of 3070 samples for each sample. `headless`
  computes what follows the layers only for the last sample. `minimal` also computes each layer
  only at the samples that a later layer needs.

All in seconds of processor time, in turn: other programs still slow both, through the shared
cache, and not by the same amount. Needs wavenet-vocoder, which the extra `dev` has.
"""

import warnings
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from time import process_time
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from bench.harness import CPU, ROOT, measure_in_turn, parse_options, report, report_ratio, skip
from models.audio.wavenet import WaveNet
from models.audio.wavenet_torch import Draws, advance
from models.checkpoint.header import Header
from models.checkpoint.weights import Checkpoint
from models.engine.batching import BatchedFn, Placement, run_together
from models.kernels.categorical import draw
from models.nets.wavenet import WaveNetModel as Net

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
    theirs.make_generation_fast_()  # its first layer is weight-normed in any case
    _set(theirs.first_conv, net.embed.weight.t(), torch.zeros(net.residual))
    cond = net.condition(net.unscored(1)[None], torch.tensor([0]))[0, 0]  # (layers, 2 gate)
    skips, nothing = net.gather.weight.split(net.gate, 1), torch.zeros_like(net.gather.bias)
    gates: list[Any] = list(net.gates)
    carry: list[Any] = list(net.carry)
    for number, layer in enumerate(theirs.conv_layers):
        scale = HALF**number
        taps = gates[number].weight.unflatten(1, (2, net.residual)).transpose(1, 2) / scale
        _set(layer.conv, taps, cond[number])
        _set(layer.conv1x1_skip, skips[number], nothing if number else net.gather.bias)
        if number < len(carry):
            out = carry[number]
            _set(layer.conv1x1_out, out.weight * scale, out.bias * scale)
    _set(theirs.last_conv_layers[1], net.hidden.weight, net.hidden.bias)
    _set(theirs.last_conv_layers[3], net.out.weight, net.out.bias)
    return theirs.eval().requires_grad_(False)


def _set(convolution: Any, weight: Tensor, bias: Tensor) -> None:
    convolution.weight.data = weight.reshape(convolution.weight.shape).clone()
    convolution.bias.data = bias.clone()


def logits_difference(net: Net, theirs: Any) -> float:
    """The largest difference of their incremental logits from our convolution's."""
    samples = torch.randint(256, (1, net.hop), generator=torch.Generator().manual_seed(1))
    ours = net(samples, net.unscored(1)[None], torch.tensor([0]))[0].t()
    known = F.one_hot(samples, 256).transpose(1, 2).float()
    logits = theirs.incremental_forward(test_inputs=known, T=net.hop, softmax=False, quantize=False)
    return float((logits[0] - ours).abs().max())


def ours_speed(family: WaveNet, streams: int, chunks: int, top_p: float = 1.0) -> float:
    """Samples a second of all streams together, by `run_together`."""
    run: BatchedFn[Any] = family.advance
    rings, length, last, uniforms, roll, style, one, _ = run.example
    rng = torch.Generator().manual_seed(0)
    states = [(rings, length, last)] * streams
    start = process_time()
    for _ in range(chunks):
        cond = (roll, style, one, torch.tensor(top_p))
        rows = [(*s, torch.rand(uniforms.shape, generator=rng), *cond) for s in states]
        states = [tuple(row[1:]) for row in run_together(run, rows, CPU)]
    return streams * chunks * family.samples / (process_time() - start)


def torch_speed(family: WaveNet, streams: int) -> float:
    """Samples a second of all streams, by the steps in torch."""
    rings, length, last = (
        state.expand(streams, *state.shape).clone() for state in family.weights.silence()
    )
    cond = family.net.condition(family.net.unscored(1)[None], torch.tensor([0]))
    ones = torch.ones(streams)
    draws = Draws(torch.rand(streams, family.net.hop), ones, ones)
    start = process_time()
    advance(family.weights, (rings, length, last), cond.expand(streams, -1, -1, -1), draws)
    return streams * family.net.hop / (process_time() - start)


def peer_speed(theirs: Any, streams: int, count: int) -> float:
    """Samples a second of all streams, by wavenet_vocoder's `incremental_forward`."""
    first = F.one_hot(torch.full((streams, 1), 128), 256).transpose(1, 2).float()
    start = process_time()
    theirs.incremental_forward(test_inputs=first, T=count, softmax=True, quantize=streams == 1)
    return streams * count / (process_time() - start)


def naive_speed(net: Net, count: int, form: str = "whole") -> float:
    """Samples a second of a loop that runs a convolution over all that each is predicted from."""
    known, one, style = torch.full((1, net.receptive_field), 128), torch.ones(1), torch.tensor([0])
    whole = Net(hop=net.receptive_field).eval().requires_grad_(False)
    whole.load_state_dict(net.state_dict())
    cond, roll = net.condition(net.unscored(1)[None], style)[0, 0], whole.unscored(1)[None]
    start = process_time()
    for _ in range(count):
        if form == "whole":
            logits = whole(known, roll, style)[:, -1]
        else:
            logits = last_logits(net, known, cond, padded=form == "headless")
        known = torch.cat([known[:, 1:], draw(logits, torch.rand(1), one, one)[0][None]], 1)
    return count / (process_time() - start)


def last_logits(net: Net, known: Tensor, cond: Tensor, padded: bool) -> Tensor:
    """Logits (B, classes) of the sample after those in `known` (B, T), T the whole field or more.

    `cond` (layers, 2 gate) conditions each layer, the same at every sample. Padded layers compute
    all T samples, others only those that a later layer needs.
    """
    x: Tensor = net.embed(known)  # (B, T, residual)
    units = []
    for number, dilation in enumerate(net.dilations):
        x = F.pad(x, (0, 0, dilation, 0)) if padded else x
        before, x = x[:, :-dilation], x[:, dilation:]
        a: Tensor = net.gates[number](torch.cat([before, x], 2)) + cond[number]
        signal, gate = a.chunk(2, 2)
        unit = torch.tanh(signal) * torch.sigmoid(gate)
        units.append(unit[:, -1])
        if number < len(net.carry):
            x = x + net.carry[number](unit)
    logits: Tensor = net.out(F.relu(net.hidden(F.relu(net.gather(torch.cat(units, 1))))))
    return logits


def plot(lines: dict[str, dict[int, float]], path: Path) -> None:
    """Plots samples a second against streams, a line for each way."""
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


def measure(family: WaveNet, theirs: Any, rounds: int, scale: float = 1.0) -> dict[str, float]:
    """Reports all ratios; returns the median speeds. `scale` shortens every way."""
    net = family.net

    def n(count: int) -> int:
        return max(1, int(count * scale))

    measured = measure_in_turn(
        rounds,
        ours=lambda: ours_speed(family, 1, n(24)),
        peer=lambda: peer_speed(theirs, 1, n(150)),
        naive=lambda: naive_speed(net, n(8)),
        headless=lambda: naive_speed(net, n(12), "headless"),
        minimal=lambda: naive_speed(net, n(12), "minimal"),
        ours_8=lambda: ours_speed(family, 8, n(6)),
        peer_8=lambda: peer_speed(theirs, 8, n(100)),
        ours_8_top_p=lambda: ours_speed(family, 8, n(6), 0.95),
        torch=lambda: torch_speed(family, 1),
        torch_8=lambda: torch_speed(family, 8),
    )
    speeds = {name: measured.median(name) for name in measured.rounds[0]}
    peer = "wavenet_vocoder's incremental_forward"
    difference = logits_difference(net, theirs)
    claim = f"samples a second of one stream against {peer}"
    report_ratio(claim, measured, "ours", "peer", "30 or more", logits_difference=difference)
    report_ratio(
        "samples a second of one stream against the naive loop",
        measured,
        "ours",
        "naive",
        "1000 or more",
        against_headless=measured.ratio("ours", "headless"),
        against_minimal=measured.ratio("ours", "minimal"),
        torch=speeds["torch"],
    )
    report_ratio(f"samples a second of eight streams against {peer}", measured, "ours_8", "peer_8")
    report("one stream against real time", speeds["ours"] / RATE, "1.1 or more")
    report(
        "eight streams against real time",
        speeds["ours_8"] / RATE,
        "2.5 or more",
        with_top_p=speeds["ours_8_top_p"] / RATE,
        torch=speeds["torch_8"] / RATE,
    )
    return speeds


def main(argv: Sequence[str] | None = None) -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--plot", type=Path, default=ROOT / "docs/wavenet.png")
    options = parse_options(parser, argv, rounds=5)
    warnings.filterwarnings("ignore")  # the peer was written for an old torch
    net = sized_net()
    try:
        theirs = peer_of(net)
    except ImportError:
        skip("wavenet", "wavenet-vocoder is not installed")
        return
    family = family_of(net)
    with torch.inference_mode():
        if options.smoke:
            measure(family, theirs, 0, scale=0.02)
            return
        speeds = measure(family, theirs, options.rounds)
        lines = {
            "kernel": {n: ours_speed(family, n, max(4, 48 // n)) for n in STREAMS},
            "torch": {n: torch_speed(family, n) for n in STREAMS},
            "wavenet_vocoder": {n: peer_speed(theirs, n, 60) for n in STREAMS},
            "naive loop": {1: speeds["naive"]},
        }
    plot(lines, options.plot)


if __name__ == "__main__":
    main()
