"""A poem while it is written: which tokens may come next, so that its form holds."""

from collections.abc import Iterator, Sequence, Set
from copy import copy
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.language.poems.lexicon import Bits, Lexicon, Openers
from models.params.poem_forms import LineRule

RHYME_BIAS = 3.0  # nats that words gain which would end a line with its rhyme
CAPITAL_BIAS = 3.0  # nats that a capital loses within a sentence
MARK_ROOM = 4  # syllables, with the word before it, for a mark within a line
Row = NDArray[np.float32]
State = Literal["start", "word", "space", "mark", "comma"]
"""What a line ends with: nothing yet, a word or its beginning, a space, a full stop or the like,
another mark."""


class _Line(NamedTuple):
    """A line of the poem that is being written."""

    rule: LineRule
    inner: Bits  # for each word, its syllables where another word follows
    final: Bits  # where it ends the line
    shortest: int  # syllables of the shortest word that may end it


class PoemConstraint:
    """Follows one poem token by token, and says what may come next.

    1. A poem has words of the dictionary alone, so its syllables are counted, not guessed.
    2. A token may come only if some word completes it, and that word ends the line or leaves room
       for one that does. So no poem gets stuck.
    3. A line that rhymes ends with a common word that rhymes with the earlier ends and sounds like
       none of them. The first line of a rhyme ends with a word that enough words rhyme with.
    """

    def __init__(
        self, lexicon: Lexicon, rules: Sequence[LineRule], ends: Set[int], vocabulary: int
    ) -> None:
        """`ends` are the tokens that end a text."""
        self._lexicon, self._rules, self._vocabulary = lexicon, rules, vocabulary
        self._ends = np.array(sorted(i for i in ends if i < vocabulary), np.int64)
        self._rhymes: dict[str, list[int]] = {}  # the words that lines ended with, by letter
        self._state: State = "start"
        self.line = -1
        self.is_complete = False
        self._begin_line()

    def branch(self) -> "PoemConstraint":
        """The poem as it is, to go on with in another way."""
        other = copy(self)
        other._rhymes = {letter: list(ended) for letter, ended in self._rhymes.items()}
        return other

    def bias(self) -> Tensor:
        """(V,) float32, added to the logits: -inf for tokens that can't come."""
        row = np.full(self._vocabulary, -np.inf, np.float32)
        match self._state:
            case "start":
                self._allow_words(row, self._lexicon.plain, self._line.rule.initial)
            case "space":
                self._allow_words(row, self._lexicon.plain)
            case "word":
                self._allow_continuations(row)
                self._allow_followers(row)
            case "mark" | "comma":
                self._allow_followers(row)
        return torch.from_numpy(row)

    def add(self, token: int) -> None:
        """Takes the token that came, one of those that `bias` allows."""
        spelling = self._lexicon.spellings[token]
        if token in self._ends or spelling is None or spelling.kind in ("break", "mark_break"):
            self._end_line()
        elif spelling.kind == "mark":
            self._state = "mark" if token in self._lexicon.stops else "comma"
            self.is_complete = self._is_last and not self._may_go_on
        else:
            if spelling.gap:
                self._close_word()
            self._prefix += spelling.core.strip().lower()
            self._state = "word" if self._prefix else "space"

    def _begin_line(self) -> None:
        self.line += 1
        self._state = "start"
        self._prefix, self._used = "", 0  # of the word that is begun; syllables before it
        rule, lexicon = self._rules[self.line], self._lexicon
        inner = lexicon.exact_counts if rule.is_exact else lexicon.counts
        final = inner * self._may_end_line(rule)
        shortest = _lowest_bit(int(np.bitwise_or.reduce(final)))
        self._line = _Line(rule, inner, final, shortest)
        self._opened: dict[int, tuple[Bits, Bits]] = {}

    def _may_end_line(self, rule: LineRule) -> Bits:
        """1 for each word that may end a line."""
        lexicon = self._lexicon
        if not rule.rhyme:
            return lexicon.ends_lines
        if ended := self._rhymes.get(rule.rhyme):
            known = np.isin(lexicon.sounds, lexicon.sounds[ended])
            fits = (lexicon.rhymes == lexicon.rhymes[ended[0]]) & ~known
            return np.where(fits, lexicon.is_common, np.uint16(0))
        taken = [lexicon.rhymes[ended[0]] for ended in self._rhymes.values()]
        return np.where(np.isin(lexicon.rhymes, taken), np.uint16(0), lexicon.leads)

    def _end_line(self) -> None:
        if letter := self._line.rule.rhyme:
            self._rhymes.setdefault(letter, []).append(self._word)
        if self._is_last:
            self.is_complete = True
        else:
            self._begin_line()

    def _close_word(self) -> None:
        if self._prefix:
            self._used += self._lexicon.dictionary.entries[self._word].syllables
            self._prefix = ""

    @property
    def _is_last(self) -> bool:
        return self.line == len(self._rules) - 1

    @property
    def _word(self) -> int:
        """The word that is written, by its index; -1 while it is none."""
        return self._lexicon.dictionary.index_of(self._prefix)

    def _room(self, used: int) -> tuple[int, int]:
        """Bits of the syllables that a word may have after `used`: within the line, at its end."""
        line = self._line
        inner = _bits(1, line.rule.most - used - line.shortest)
        return inner, _bits(max(1, line.rule.least - used), line.rule.most - used)

    @property
    def _may_go_on(self) -> bool:
        """Whether another word may follow in the line."""
        word = self._word
        return word >= 0 and bool(int(self._line.inner[word]) & self._room(self._used)[0])

    @property
    def _may_end(self) -> bool:
        """Whether the line may end with what is written."""
        if self._is_last and self._state == "comma":
            return False
        word = self._word
        return word >= 0 and bool(int(self._line.final[word]) & self._room(self._used)[1])

    def _allow_words(self, row: Row, openers: Openers, initial: str = "") -> None:
        """Allows the tokens that begin the next word."""
        word = self._word
        before = self._lexicon.dictionary.entries[word].syllables if word >= 0 else 0
        inner, final = self._room(self._used + before)
        lowercase = ~openers.is_capital if self._line.rule.rhyme else np.True_
        for inner_reach, final_reach in self._reaches(openers):
            by_end = ((final_reach & final) > 0) & lowercase
            allowed = ((inner_reach & inner) > 0) | by_end
            if initial:
                allowed &= openers.initials == initial
            if allowed.any():
                break
        row[openers.ids[allowed]] = 0
        if self._state in ("word", "comma"):
            row[openers.ids[allowed & openers.is_capital]] = -CAPITAL_BIAS
        if self._line.rule.rhyme in self._rhymes:
            row[openers.ids[allowed & by_end]] = RHYME_BIAS

    def _reaches(self, openers: Openers) -> Iterator[tuple[Bits, Bits]]:
        """What tokens lead to in this line, within it and at its end: as words begin, then, for
        lines that no such token fits, in any way."""
        line = self._line
        if id(openers) not in self._opened:
            inner = self._lexicon.inner_openings(openers, line.rule.is_exact)
            self._opened[id(openers)] = inner, openers.open(line.final)
        yield self._opened[id(openers)]
        yield openers.reach(line.inner), openers.reach(line.final)

    def _allow_continuations(self, row: Row) -> None:
        """Allows the tokens that go on with the word that is begun."""
        inner, final = self._room(self._used)
        for rarely in (False, True):
            openers = self._lexicon.continuations(self._prefix, rarely)
            within = openers.reach(self._line.inner) & inner
            allowed = (within | openers.reach(self._line.final) & final) > 0
            if allowed.any() or self._may_go_on or self._may_end:
                break
        row[openers.ids[allowed]] = 0

    def _allow_followers(self, row: Row) -> None:
        """Allows what may come after a complete word."""
        lexicon, may_go_on, may_end = self._lexicon, self._may_go_on, self._may_end
        if may_go_on:
            self._allow_words(row, lexicon.after_gap)
            row[lexicon.spaces] = 0
        if may_end:
            row[self._ends if self._is_last else lexicon.breaks] = 0
        room = self._line.rule.most - self._used
        if self._state == "word" and (may_end or (may_go_on and room > MARK_ROOM)):
            row[lexicon.stops if self._is_last and not may_go_on else lexicon.marks] = 0
            if may_end and not self._is_last:
                row[lexicon.mark_breaks] = 0


def _bits(least: int, most: int) -> int:
    """The bits from `least` to `most`; none where `most` is less."""
    return (1 << most + 1) - (1 << least) if most >= least else 0


def _lowest_bit(bits: int) -> int:
    """The number of the lowest bit that is set; 0 if none is."""
    return max(0, (bits & -bits).bit_length() - 1)
