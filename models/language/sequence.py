"""One text in a slot: what the net has read of it, and how it goes on, a token a step."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor

from models.artifacts import Chance, Drawn, NotFinite
from models.engine.batching import BatchedFn
from models.engine.flow import Step
from models.language.backends.selection import Net
from models.language.detokenizer import Detokenizer
from models.language.grammars.token_matcher import TokenMatcher
from models.language.prefix_slots import TextSlot
from models.language.sampling import Choice, sampling_row
from models.language.token_penalties import TokenPenalties
from models.language.tokenizer import TextTokens
from models.params.text import LanguageParams


@dataclass(frozen=True, slots=True)
class LanguageRuntime:
    """What a loaded model writes with."""

    tokenizer: TextTokens
    net: Net
    prefill: BatchedFn[Any]  # of a chunk of tokens, their first place, the slot, the span
    next: BatchedFn[Choice]  # of a token, its place, the slot, the span, how to draw, the bias
    no_bias: Tensor  # (V,) zeros: every token may come


@dataclass
class Generated:
    """What has been written after a prompt."""

    draft: Detokenizer
    count: int = 0  # tokens, a mark that ends it left out
    finish: Literal["stop", "length"] | None = None
    drawn: list[Drawn] = field(default_factory=list)

    def take(self, choice: Choice, tokenizer: TextTokens, how: LanguageParams) -> str:
        """One more token; gives what is final now. Raises NotFinite where there was none."""
        token = int(choice[0])
        if not torch.isfinite(choice[1]):
            raise NotFinite
        if token in tokenizer.ends:
            self.finish = "stop"
            piece = self.draft.end(token)
            self._leave_out_stop()
            return piece
        self.count += 1
        before, piece = self.draft.letters, self.draft.add(token)
        if how.logprobs is not None:
            letters = (before, self.draft.letters)
            self.drawn.append(drawn_of(tokenizer, choice, letters, how.logprobs))
        if self.draft.stopped:
            self.finish = "stop"
            self._leave_out_stop()
        elif self.count == how.max_tokens:
            self.finish = "length"
            piece += self.draft.end()
        return piece

    def end(self) -> str:
        """Ends the text where it is, if it has not ended; gives what was held back."""
        piece = "" if self.finish else self.draft.end()
        self.finish = "stop"
        return piece

    def _leave_out_stop(self) -> None:
        """Tell nothing of the tokens of a stop string."""
        if self.draft.stopped:
            self.drawn = [one for one in self.drawn if one.offset < self.draft.letters]


def drawn_of(tokenizer: TextTokens, choice: Choice, letters: tuple[int, int], count: int) -> Drawn:
    """Of a token, with the letters of the text before and after it."""
    ranked = list(zip(choice[2].tolist(), choice[3].tolist(), strict=True))[:count]
    likeliest = [chance_of(tokenizer, t, p) for t, p in ranked if p > -torch.inf]
    own = chance_of(tokenizer, int(choice[0]), float(choice[1]))
    begins = max(letters[0], letters[1] - len(own.token))  # halves of letters may have come between
    return Drawn(own, begins, tuple(likeliest))


def chance_of(tokenizer: TextTokens, token: int, logprob: float | None) -> Chance:
    return Chance(tokenizer.piece(token), logprob, tokenizer.bytes_of(token))


class TokenSequence:
    """What a slot holds of a job's text, and how far the job is."""

    def __init__(self, runtime: LanguageRuntime, slot: TextSlot, steps: int, done: int = 0) -> None:
        """`done` of so many `steps` need not be run: the slot has what they would write."""
        self._runtime, self._slot, self._steps = runtime, slot, steps
        self._number = torch.tensor(slot.number)
        self._step = done
        self._unsaid: str | None = None  # text that goes out with the next step

    async def write(
        self,
        prompt: Sequence[int],
        how: LanguageParams,
        rng: torch.Generator,
        aloud: bool = True,
        matcher: TokenMatcher | None = None,
    ) -> Generated:
        """Go on from a prompt until all is said, or as much as may be; aloud as it is written, its
        last piece with the next step. A `matcher` keeps it to a grammar.

        One uniform a token is drawn, whether it is used or not. Raises GrammarFailed,
        UnsupportedRequest.
        """
        penalties, text = self.penalties_of(how), list[int]()
        await self.read(prompt[:-1])
        written, last = (
            Generated(Detokenizer(self._runtime.tokenizer, prompt, how.stop)),
            prompt[-1],
        )
        while written.finish is None:
            draws = sampling_row(how, torch.rand((), generator=rng))
            bias = None if matcher is None else matcher.bias()
            choice = await self.draw(last, draws, penalties.added_to(bias, text))
            last = int(choice[0])
            text.append(last)
            piece = written.take(choice, self._runtime.tokenizer, how)
            if matcher is not None and written.finish is None:
                matcher.add(last)
                piece += written.end() if matcher.is_complete else ""
            if aloud:
                self.say(piece)
        return written

    async def score(self, tokens: Sequence[int], how: LanguageParams) -> list[Choice]:
        """Reads tokens one by one, and returns a choice of each but the first.

        Each is drawn, since a bias forbids all others, so it has the log-probabilities of the net
        as a token that is written has. Raises NotFinite.
        """
        await self.read(())
        draws = sampling_row(how.model_copy(update={"temperature": 0.0}), torch.tensor(0.5))
        choices = []
        for last, token in pairwise(tokens):
            only = torch.full_like(self._runtime.no_bias, -torch.inf)
            only[token] = 0.0
            choices.append(await self.draw(last, draws, only))
            if not torch.isfinite(choices[-1][1]):
                raise NotFinite
        return choices

    def penalties_of(self, how: LanguageParams) -> TokenPenalties:
        return TokenPenalties(how, len(self._runtime.no_bias))

    async def draw(self, last: int, draws: Tensor, bias: Tensor | None = None) -> Choice:
        """A token after `last`, which the slot gets; `draws` is a sampling row, and `bias` (V,) is
        added to the logits."""
        at = self._at(len(self._slot.tokens), 1)
        row = (torch.tensor(last), *at, draws, self._runtime.no_bias if bias is None else bias)
        choice = await Step(self._runtime.next, row, self._progress(), delta=self._said())
        self._slot.tokens.append(last)
        return choice

    async def read(self, tokens: Sequence[int]) -> None:
        """Have just these in the slot; what it holds of them already is kept."""
        slot, size = self._slot, self._runtime.net.chunk
        start = slot.shared(tokens)
        slot.truncate(start)
        for begin in range(start, len(tokens), size):
            new = list(tokens[begin : begin + size])
            chunk = new + new[-1:] * (size - len(new))  # written over by what follows
            row = (torch.tensor(chunk), *self._at(begin, size))
            await Step(self._runtime.prefill, row, self._progress(), delta=self._said())
            slot.extend(new, size)

    def say(self, piece: str) -> None:
        """Sends a piece of text with the next step."""
        self._unsaid = (self._unsaid or "") + piece or None

    def _at(self, position: int, count: int) -> tuple[Tensor, Tensor, Tensor]:
        return torch.tensor(position), self._number, self._runtime.net.bucket(position + count)

    def _said(self) -> str | None:
        said, self._unsaid = self._unsaid, None
        return said

    def _progress(self) -> tuple[int, int]:
        self._step = min(self._step + 1, self._steps)
        return self._step, self._steps
