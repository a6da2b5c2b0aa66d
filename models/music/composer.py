"""Family `composer`: scores, a token after another (models/music/tokenizer.py says what tokens)."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from models.artifacts import Artifact, NotFinite
from models.checkpoint.header import CheckpointError
from models.checkpoint.weights import Checkpoint, build_net
from models.engine.batching import BatchedFn, Placement
from models.engine.flow import NOTHING, Inputs, Step
from models.engine.slots import SCRATCH, Slots
from models.kernels.categorical import draw
from models.music.composition import FACTS, Composition, facts_of, fixed_tokens
from models.music.tokenizer import MusicTokens
from models.nets.composer import Cache
from models.nets.composer import ComposerModel as Net
from models.params.audio import ComposerParams
from models.score import Score

SLOTS = 12
PARTS = 100  # of progress

Stepped = Callable[[Tensor, Tensor, Tensor, Cache], Tensor]
Progress = Callable[[int], tuple[int, int]]
"""From how many of PARTS there are to what a step tells."""


class Composer:
    """Goes on a token a step, each row in its own slot of a cache that is there beforehand.

    It reckons in single precision. A row looks at its own slot alone, and with the kernel its
    bits do not depend on its neighbours; the plain steps run in batches of four.
    """

    max_items = SLOTS
    item_bytes = 2**22  # its cache is counted with the weights

    def __init__(self, checkpoint: Checkpoint, placement: Placement) -> None:
        self.net = build_net(Net, checkpoint, Placement(placement.device))
        self.tokenizer = MusicTokens(checkpoint.header.labels)
        if not self.tokenizer.styles:
            raise CheckpointError("it has no labels, which name its styles")
        if self.net.vocabulary != self.tokenizer.size:
            raise CheckpointError(
                f"its labels make {self.tokenizer.size} tokens, and its net {self.net.vocabulary}"
            )
        counts = [table.num_embeddings for table in self.net.told]
        if counts != facts_of(self.tokenizer):
            raise CheckpointError(f"its net is told {counts}, not {facts_of(self.tokenizer)}")
        self._way = stepping(self.net, placement.device)
        self.slots = Slots(self._way.cache.keys, self._way.cache.values)
        self.next: BatchedFn[Tensor] = BatchedFn(
            self._next, self._example(), pad_to=self._way.pad_to
        )
        self.batched: tuple[BatchedFn[Any], ...] = (self.next,)

    def _example(self) -> tuple[Tensor, ...]:
        nothing, one = torch.tensor(0), torch.tensor(1.0)
        facts = torch.zeros(len(FACTS), dtype=torch.long)
        slot, any_token = torch.tensor(SCRATCH), torch.ones(self.tokenizer.size, dtype=torch.bool)
        return (nothing, facts, nothing, slot, any_token, torch.tensor(0.5), one, one)

    def _next(self, *columns: Tensor) -> Tensor:
        """Read a token of each piece and draw the next, -1 where none can be drawn."""
        token, facts, at, slot, allowed, uniform, temperature, top_p = columns
        logits = self._way.step(self.net.begun(token, facts), at, slot, self._way.cache)
        logits = logits.masked_fill(~allowed, -torch.inf)
        number, sound = self._way.draw(logits, uniform, temperature, top_p)
        return torch.where(sound, number, -1)

    async def generate(
        self, params: ComposerParams, rng: torch.Generator, inputs: Inputs = NOTHING
    ) -> tuple[Artifact, ...]:
        primer = inputs.get("primer")
        begun = primer if isinstance(primer, Score) else None
        score, _ = await self.compose(params, rng, begun, lambda fraction: (fraction, PARTS))
        return (score,)

    async def compose(
        self, params: ComposerParams, rng: torch.Generator, primer: Score | None, progress: Progress
    ) -> tuple[Score, str]:
        """A piece, or how a given one goes on, and its style.

        What is asked for is drawn in any case, so that asking for what was drawn gives the same.
        Raises ValueError for a primer that can't be gone on from.
        """
        drawn = torch.randint(len(self.tokenizer.styles), (), generator=rng)
        style = self.tokenizer.styles[int(drawn)] if params.style is None else params.style
        tempo = params.tempo if primer is None else primer.tempo
        piece = Composition(self.tokenizer, params.seconds, tempo)
        fixed = fixed_tokens(self.tokenizer, params, style, primer)
        piece.add(fixed[0] or 0)
        with self.slots.take() as slot:
            while not piece.over:
                row = (*self._row(piece, slot), torch.rand((), generator=rng), *_how(params))
                done = progress(min(PARTS - 1, int(PARTS * piece.share)))
                token = await Step(self.next, row, done, partial(_so_far, piece))
                if token < 0:
                    raise NotFinite
                at = len(piece.tokens)
                wanted = fixed[at] if at < len(fixed) else None
                piece.add(int(token) if wanted is None else wanted)
        return piece.score(), style

    def _row(self, piece: Composition, slot: int) -> tuple[Tensor, ...]:
        """The last token, for the token after it to be drawn."""
        numbers = (torch.tensor(n) for n in (len(piece.tokens) - 1, slot))
        facts = torch.tensor(piece.facts)
        return (torch.tensor(piece.tokens[-1]), facts, *numbers, piece.may_follow())


def _how(params: ComposerParams) -> tuple[Tensor, Tensor]:
    return torch.tensor(params.temperature), torch.tensor(params.top_p)


def _so_far(piece: Composition, drawn: Tensor) -> Score:
    """What there is to hear; the token that was drawn just now is not yet in it."""
    return piece.score()


@dataclass(frozen=True, slots=True)
class Stepping:
    """A way to step, as `Net.step`, and to draw, as `wavenet_steps.draw`."""

    step: Stepped
    draw: Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
    cache: Cache  # laid out as `step` has it
    pad_to: int | None  # the batch that it must be padded to


def stepping(net: Net, device: torch.device) -> Stepping:
    """The fastest on a device."""
    if device.type == "cuda" or importlib.util.find_spec("numba") is None:
        return Stepping(net.step, draw, net.empty(SLOTS + 1), 4)
    from models.music import composer_numba as kernel  # numba takes a second to load
    from models.music.composer_weights import empty, packed

    weights = packed(net)
    cache = empty(weights, SLOTS + 1)
    return Stepping(partial(kernel.next_logits, weights), kernel.draw, cache, None)
