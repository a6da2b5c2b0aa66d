"""Writes a poem in form: of several drafts of each line, the one that the model finds likeliest."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from models.artifacts import NotFinite
from models.language.detokenizer import Detokenizer
from models.language.poems.constraint import PoemConstraint
from models.language.sampling import Choice, sampling_row
from models.language.sequence import Generated, TokenSequence
from models.language.tokenizer import TextTokens
from models.params.base import UnsupportedRequest
from models.params.poem_forms import FormRequest
from models.params.text import LanguageParams

DRAFTS = 4  # of each line
REPEATED = 4  # tokens in a row that a poem has once
REPEATING = 2.0  # nats that a draft loses if all its pairs of tokens came before


def without_repeats(bias: Tensor, poem: Sequence[int]) -> Tensor:
    """A bias (V,) that also forbids tokens with which the last REPEATED tokens of the poem come
    twice in it (`no_repeat_ngram_size` of transformers), as far as others may come."""
    tail = list(poem[len(poem) - REPEATED + 1 :])
    starts = range(len(poem) - REPEATED + 1)
    repeats = {poem[i + REPEATED - 1] for i in starts if list(poem[i : i + REPEATED - 1]) == tail}
    if not repeats:
        return bias
    other = bias.index_fill(0, torch.tensor(sorted(repeats)), -torch.inf)
    return other if other.max() > -torch.inf else bias


def expected_steps(form: FormRequest) -> int:
    """About how many tokens are drawn for a poem of this form, all drafts together."""
    return DRAFTS * sum(rule.most + 2 for rule in form.rules)


@dataclass
class LineDraft:
    """A way to go on for one line."""

    choices: list[Choice]
    constraint: PoemConstraint  # the poem's after this line

    @property
    def tokens(self) -> list[int]:
        return [int(choice[0]) for choice in self.choices]

    def score(self, before: Sequence[int]) -> float:
        """The mean log-probability of its tokens, less for what repeats the poem `before` it."""
        likelihood = float(torch.stack([choice[1] for choice in self.choices]).mean())
        pairs = list(pairwise([*before, *self.tokens]))
        known, own = set(pairs[: len(before) - 1]), pairs[max(0, len(before) - 1) :]
        repeated = 0
        for pair in own:
            repeated += pair in known
            known.add(pair)
        return likelihood - REPEATING * repeated / max(1, len(own))


class PoemWriter:
    """Writes one poem in a slot."""

    def __init__(
        self,
        sequence: TokenSequence,
        tokenizer: TextTokens,
        how: LanguageParams,
        rng: torch.Generator,
    ) -> None:
        self._sequence, self._tokenizer, self._rng = sequence, tokenizer, rng
        self._how, self._prompt_size = how, 0
        self._penalties = sequence.penalties_of(how)
        self._scored = how.model_copy(update={"logprobs": how.logprobs or 0})

    async def write(self, prompt: Sequence[int], constraint: PoemConstraint) -> Generated:
        """Goes on from a prompt until the poem is complete, a line at a time.

        Raises UnsupportedRequest if `max_tokens` ends before the poem.
        """
        tokens, self._prompt_size = list(prompt), len(prompt)
        written = Generated(Detokenizer(self._tokenizer, prompt, ()))
        while not constraint.is_complete:
            most = (self._how.max_tokens or 0) - written.count
            drafts = [await self._draft(tokens, constraint.branch(), most) for _ in range(DRAFTS)]
            whole = [draft for draft in drafts if draft is not None]
            if not whole:
                why = f"is too few: {written.count} tokens were written, and lines are left"
                raise UnsupportedRequest("max_tokens", why)
            poem = tokens[self._prompt_size :]
            best = max(whole, key=lambda draft: draft.score(poem))
            pieces = [written.take(x, self._tokenizer, self._how) for x in best.choices]
            tokens, constraint = tokens + best.tokens, best.constraint
            self._sequence.say("".join(pieces))
        self._sequence.say(written.end())
        return written

    async def _draft(
        self, tokens: Sequence[int], constraint: PoemConstraint, most: int
    ) -> LineDraft | None:
        """One line after these tokens; None where it needs more than `most` tokens."""
        await self._sequence.read(tokens[:-1])
        draft, last = LineDraft([], constraint), tokens[-1]
        line = constraint.line
        while constraint.line == line and not constraint.is_complete:
            if len(draft.choices) == most:
                return None
            draws = sampling_row(self._scored, torch.rand((), generator=self._rng))
            poem = [*tokens[self._prompt_size :], *draft.tokens]
            bias = self._penalties.added_to(without_repeats(constraint.bias(), poem), poem)
            choice = await self._sequence.draw(last, draws, bias)
            if not torch.isfinite(choice[1]):
                raise NotFinite
            last = int(choice[0])
            draft.choices.append(choice)
            constraint.add(last)
        return draft
