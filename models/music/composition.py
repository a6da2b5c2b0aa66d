"""A piece of music while it is written, token by token: what it is, how far, what may follow."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import floor

import torch
from torch import Tensor

from models.music.tokenizer import STEPS, TEMPOS, WORDS, MusicTokens, State, nearest
from models.params.audio import ComposerParams
from models.score import KEYS, Score, ScoreError, moved, trimmed

FACTS = ("style", "key", "tempo", "meter")
"""What a composer is told at every token: the prefix of a piece."""
CLOSING = 0.8  # of the length asked for, after which a piece may end by itself
MOST = 8192  # tokens of a piece, whatever it is like


def facts_of(tokenizer: MusicTokens) -> list[int]:
    """How many values each of FACTS has, 0 being that it is not known."""
    return [len(tokenizer.styles) + 1, WORDS["key"], WORDS["tempo"] + 1, WORDS["meter"] + 1]


@dataclass(slots=True)
class Composition:
    """What one story has written so far."""

    tokenizer: MusicTokens
    seconds: float
    """How long it is to be."""
    tempo: float | None = None
    """That it has whatever its token says, which is the nearest there is."""
    tokens: list[int] = field(default_factory=list)
    facts: list[int] = field(default_factory=lambda: [0] * len(FACTS))
    state: State = field(default_factory=State)
    bars: int = 0

    def add(self, token: int) -> None:
        """Raises ScoreError for one that may not follow."""
        kind, value = self.tokenizer.kind_of(token)
        self.state = self.tokenizer.after(self.state, token)
        self.tokens.append(token)
        self.bars += kind == "bar"
        if kind in FACTS:
            self.facts[FACTS.index(kind)] = value + (kind != "key")
        if kind == "tempo" and self.tempo is None:
            self.tempo = float(TEMPOS[value])

    @property
    def share(self) -> float:
        """How much of what is wanted there is."""
        return self._lasting(max(0, self.bars - 1), max(0, self.state.position))

    @property
    def over(self) -> bool:
        return self.state.kind == "end" or self.share >= 1 or len(self.tokens) >= MOST

    def may_follow(self) -> Tensor:
        """(vocabulary,) bool: as the grammar has it, but no `end` too soon, and no unknown key."""
        allowed = torch.zeros(self.tokenizer.size, dtype=torch.bool)
        for start, stop in self.tokenizer.allowed(self.state):
            allowed[start:stop] = True
        if self._lasting(self.bars, 0) < CLOSING:
            allowed[self.tokenizer.token("end", 0)] = False
        if self.state.kind == "style":
            allowed[self.tokenizer.token("key", 0)] = False
        return allowed

    def score(self) -> Score:
        """What there is of it, cut where it is to end."""
        score, _ = self.tokenizer.decode(self.tokens)
        if self.tempo is not None and self.tempo != score.tempo:
            score = paced(score, self.tempo)
        return trimmed(score, 0, self.seconds)

    def _lasting(self, bars: int, steps: int) -> float:
        if self.tempo is None:
            return 0.0
        return (bars * self.state.length + steps) / STEPS * 60 / self.tempo / self.seconds


def fixed_tokens(
    tokenizer: MusicTokens, params: ComposerParams, style: str, primer: Score | None
) -> Sequence[int | None]:
    """How a piece must begin; None where it is free. Raises ScoreError for a primer that has no
    tokens, or is longer than what is asked for."""
    if primer is not None:
        if not primer.notes:
            raise ScoreError("the primer has no notes")
        bar = primer.quarters * 60 / primer.tempo
        silence = floor(min(note.onset for note in primer.notes) / bar) * bar
        begun = moved(primer, -silence)
        if begun.seconds >= params.seconds:
            raise ScoreError(
                f"the primer lasts {begun.seconds:g} seconds, and the piece is to last no more "
                f"than {params.seconds:g}"
            )
        return tokenizer.encode(begun, style)[:-1]
    key, tempo = params.key, params.tempo
    return [
        tokenizer.token("style", tokenizer.styles.index(style)),
        None if key is None else tokenizer.token("key", 1 + KEYS.index(key)),
        None if tempo is None else tokenizer.token("tempo", nearest(TEMPOS, tempo)),
    ]


def paced(score: Score, tempo: float) -> Score:
    """The same notes at another tempo."""
    factor = score.tempo / tempo
    notes = (replace(n, onset=n.onset * factor, end=n.end * factor) for n in score.notes)
    return replace(score, notes=tuple(notes), tempo=tempo)
