"""WaveNet's chunk of samples on CUDA: thousands of small launches, recorded once and replayed.

It is as plain steps to the bit, and on an H200 made 2,400 samples a second of one stream, 15,800 of
eight, 84,700 of 64 and 338,000 of 256: every launch waits for the one before, so many streams cost
little more than one, and each is slower than it plays. So a processor's kernel goes first where
there is one (`wavenet.home_of`).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.audio.wavenet_torch import Advanced, Draws, Stacked, State, advance

Shapes = tuple[torch.Size, ...]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A graph, and where it reads and writes."""

    graph: torch.cuda.CUDAGraph
    buffers: tuple[Tensor, ...]
    outputs: Advanced


class Captured:
    """As `wavenet_steps.advance`, by a graph for every shape that comes: one, if batches are
    padded to a fixed size."""

    def __init__(self, weights: Stacked) -> None:
        self._weights = weights
        self._recorded: dict[Shapes, Recorded] = {}

    def __call__(self, state: State, conditioning: Tensor, draws: Draws) -> Advanced:
        inputs = (*state, conditioning, draws.uniforms, draws.temperature, draws.top_p)
        shapes = tuple(tensor.shape for tensor in inputs)
        if shapes not in self._recorded:
            self._recorded[shapes] = self._record(inputs)
        recorded = self._recorded[shapes]
        for buffer, tensor in zip(recorded.buffers, inputs, strict=True):
            buffer.copy_(tensor)
        recorded.graph.replay()
        samples, rings, length, last = recorded.outputs
        return samples.clone(), rings.clone(), length.clone(), last.clone()

    def _record(self, inputs: tuple[Tensor, ...]) -> Recorded:
        """On a stream of its own first, where libraries set themselves up."""
        buffers = tuple(tensor.clone() for tensor in inputs)
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            self._advance(buffers)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            outputs = self._advance(buffers)
        return Recorded(graph, buffers, outputs)

    def _advance(self, inputs: tuple[Tensor, ...]) -> Advanced:
        rings, length, last, conditioning, *draws = inputs
        return advance(self._weights, (rings, length, last), conditioning, Draws(*draws))
