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
    given: tuple[Tensor, ...]
    made: Advanced


class Captured:
    """As `wavenet_steps.advance`, by a graph for every shape that comes: one, if batches are
    padded to a fixed size."""

    def __init__(self, weights: Stacked) -> None:
        self._weights = weights
        self._recorded: dict[Shapes, Recorded] = {}

    def __call__(self, state: State, told: Tensor, draws: Draws) -> Advanced:
        given = (*state, told, draws.uniforms, draws.temperature, draws.top_p)
        shapes = tuple(tensor.shape for tensor in given)
        if shapes not in self._recorded:
            self._recorded[shapes] = self._record(given)
        held = self._recorded[shapes]
        for place, tensor in zip(held.given, given, strict=True):
            place.copy_(tensor)
        held.graph.replay()
        samples, rings, length, last = held.made
        return samples.clone(), rings.clone(), length.clone(), last.clone()

    def _record(self, given: tuple[Tensor, ...]) -> Recorded:
        """On a stream of its own first, where libraries set themselves up."""
        inputs = tuple(tensor.clone() for tensor in given)
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            self._advance(inputs)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            made = self._advance(inputs)
        return Recorded(graph, inputs, made)

    def _advance(self, given: tuple[Tensor, ...]) -> Advanced:
        rings, length, last, told, *draws = given
        return advance(self._weights, (rings, length, last), told, Draws(*draws))
