"""WaveNet a sample at a time: each layer keeps the samples that it will be asked for again.

Stepped so, a sample costs one pass over the weights instead of one over the whole field (Paine et
al. 2016, 1611.09482, algorithm 1). A layer of dilation d looks back d samples, so its ring of d
places holds exactly those; all rings of a stream lie in one tensor, and the state of a stream is
that tensor, how many samples it is long, and the last one. This is the plain form: it runs where
there is no compiler for the fast one, and is what that is held against.
"""

from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from models.audio import mulaw
from models.kernels.categorical import draw
from models.nets.activations import sigmoid
from models.nets.wavenet import WaveNetModel

State = tuple[Tensor, Tensor, Tensor]
"""rings (places, residual) float32, samples so far and the last one's class, int64."""
Advanced = tuple[Tensor, Tensor, Tensor, Tensor]
"""Samples, and the state after them."""


@dataclass(frozen=True, slots=True)
class Draws:
    """What a chunk of samples is drawn by: uniforms (B, K) in [0, 1); temperature and top_p (B,).

    A class is the first at which the cumulated probability passes the uniform. Of the classes,
    the likeliest that together reach `top_p` may be drawn, those as likely as the last included.
    """

    uniforms: Tensor
    temperature: Tensor
    top_p: Tensor


class Stacked:
    """A WaveNet's weights by use, with the input as the first dimension, and where rings begin."""

    def __init__(self, net: WaveNetModel) -> None:
        self.hop, self.residual, self.gate = net.hop, net.residual, net.gate
        device = net.out.weight.device
        ends = list(accumulate(net.dilations, initial=0))
        self.places = ends[-1]
        self.starts = torch.tensor(ends[:-1], device=device)  # (L,)
        self.masks = torch.tensor(net.dilations, device=device) - 1  # (L,), of powers of two
        self.embed = net.embed.weight  # (classes, residual)
        gates: list[Any] = list(net.gates)
        carry: list[Any] = list(net.carry)
        self.gates = torch.stack([g.weight.t() for g in gates])  # (L, 2 residual, 2 gate)
        self.before, self.now = self.gates.chunk(2, 1)  # (L, residual, 2 gate) each
        none = torch.zeros(0, net.gate, net.residual, device=device)  # of a single layer
        self.carry = torch.stack([c.weight.t() for c in carry]) if carry else none
        self.carry_bias = torch.stack([c.bias for c in carry]) if carry else none[:, 0]
        self.ends = [  # from all units to logits
            (m.weight.t().contiguous(), m.bias) for m in (net.gather, net.hidden, net.out)
        ]
        every = torch.arange(net.classes, device=device)
        self.levels = mulaw.decode(every, net.classes)  # (classes,), what each sounds like

    def silence(self) -> State:
        """Nothing before the first sample, which follows a zero."""
        last = mulaw.encode(torch.zeros(()), len(self.levels))
        return torch.zeros(self.places, self.residual), torch.tensor(0), last


def advance(weights: Stacked, state: State, conditioning: Tensor, draws: Draws) -> Advanced:
    """Draw the next K samples of B streams, each from the ones before it.

    `conditioning` is (B, frames, layers, 2 gate), as `WaveNetModel.condition` has it, K being the
    frames' samples. Returns samples (B, K) in [-1, 1], NaN where no class could be drawn, and the
    state after them. The arguments stay as they were.
    """
    rings, length, last = state[0].clone(memory_format=torch.contiguous_format), *state[1:]
    samples = []
    for k in range(draws.uniforms.shape[1]):
        logits = next_logits(weights, (rings, length + k, last), conditioning[:, k // weights.hop])
        last, sound = draw(logits, draws.uniforms[:, k], draws.temperature, draws.top_p)
        samples.append(torch.where(sound, weights.levels[last], torch.nan))
    return torch.stack(samples, 1), rings, length + len(samples), last


def next_logits(weights: Stacked, state: State, conditioning: Tensor) -> Tensor:
    """Returns logits (B, classes) of the next sample, and writes the rings.

    `conditioning` is (B, layers, 2 gate).

    What the layers' inputs of `dilation` samples ago come to is known beforehand, for all at once.
    """
    rings, length, last = state
    flat = rings.view(-1, weights.residual)
    rows = torch.arange(len(rings), device=rings.device) * weights.places
    places = weights.starts[:, None] + (length & weights.masks[:, None]) + rows  # (L, B)
    before = flat.index_select(0, places.flatten()).view(*places.shape, -1)
    taken = torch.baddbmm(conditioning.transpose(0, 1), before, weights.before)  # (L, B, 2 gate)
    x = weights.embed.index_select(0, last)  # (B, residual)
    inputs, units = [x], []
    for layer, cond in enumerate(taken.unbind(0)):
        signal, gate = torch.addmm(cond, x, weights.now[layer]).chunk(2, 1)
        units.append(torch.tanh(signal) * sigmoid(gate))
        if layer < len(weights.carry):
            x = torch.addmm(x, units[-1], weights.carry[layer]) + weights.carry_bias[layer]
            inputs.append(x)
    flat.index_copy_(0, places.flatten(), torch.cat(inputs))
    h = torch.cat(units, 1)
    (gather, gather_bias), (hidden, hidden_bias), (out, out_bias) = weights.ends
    h = torch.addmm(gather_bias, h, gather).relu()
    h = torch.addmm(hidden_bias, h, hidden).relu()
    return torch.addmm(out_bias, h, out)
