"""Which tokens spell words of the dictionary, and with how many syllables.

Syllable counts are sets, as numbers: bit s is set where a word of s syllables is possible.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from models.language.poems.dictionary import PronouncingDictionary, word_list

Bits = NDArray[np.uint16]
Indices = NDArray[np.int64]
Kind = Literal["core", "space", "mark", "break", "mark_break"]
COMMON = 3000  # uses of a word at least, to end a line that rhymes
PARTNERS = 6  # common words at least that must rhyme with the end of a line that others follow
LEARNED = 2000  # words that are tokens of a vocabulary that was learned from texts
PART = 3  # letters that such a vocabulary has at least for the beginning of a word
_SHAPE = re.compile(
    r" ?(?P<core>[A-Za-z]+(?:'[a-z]+)*|'[a-z]*)"
    r"|(?P<space> )"
    r"|(?P<mark>[,.;:!?]|\.\.\.|…| (?:-|–|—|--))"
    r"|(?P<break>\n)"
    r"|(?P<mark_break>[,.;:!?]\n)"
)
STOPS = frozenset({".", "!", "?", "...", "…"})
LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz'")


class Spelling(NamedTuple):
    """What a token adds to a poem."""

    kind: Kind
    core: str  # the letters of a word, or the mark, as they are
    gap: bool = False  # whether a space comes first


def spelling_of(text: str) -> Spelling | None:
    """What a token of this text adds; None for a token that no poem in form has."""
    match = _SHAPE.fullmatch(text.replace("’", "'"))
    if match is None:
        return None
    kind = cast(Kind, match.lastgroup)
    return Spelling(kind, match["core"] or match[0], text[0] == " ")


@dataclass(frozen=True)
class Openers:
    """Tokens that begin a word, or go on with one, and the words of the dictionary behind them."""

    ids: Indices
    starts: Indices  # the first word that each leads to, by its index
    ends: Indices  # the first after them
    wholes: Indices  # the word that is complete with it; -1 where none is
    initials: NDArray[np.str_]  # the first letter of each, as it is
    is_capital: NDArray[np.bool_]  # whether it begins with a capital, "I" left out
    is_part: NDArray[np.bool_]  # whether it may be the beginning of a longer word

    def reach(self, counts: Bits) -> Bits:
        """For each token, the counts of all words that it leads to. `counts` is for each word."""
        if not len(self.ids):
            return np.zeros(0, np.uint16)
        edges = np.column_stack([self.starts, self.ends]).reshape(-1)
        reached = np.bitwise_or.reduceat(np.append(counts, np.uint16(0)), edges)[::2]
        return np.where(self.starts < self.ends, reached, np.uint16(0))

    def open(self, counts: Bits) -> Bits:
        """As `reach`, for tokens that begin words as people spell: one that is a word itself stands
        for that word alone, and short ones that are none stand for nothing.

        So a line that has no room for "of" doesn't begin "often" with it.
        """
        whole = np.append(counts, np.uint16(0))[self.wholes]
        return np.where(self.wholes >= 0, whole, self.reach(counts) * self.is_part)


class Lexicon:
    """The tokens of a tokenizer that spell a poem in form, by what they spell."""

    def __init__(
        self, spellings: Sequence[Spelling | None], dictionary: PronouncingDictionary
    ) -> None:
        """`spellings` has what each token adds, by its number."""
        self.dictionary, self.spellings = dictionary, spellings
        self.breaks, self.spaces = self._of_kind("break"), self._of_kind("space")
        self.marks, self.mark_breaks = self._of_kind("mark"), self._of_kind("mark_break")
        stops = [i for i in self.marks if (x := spellings[i]) and x.core in STOPS]
        self.stops = np.array(stops, np.int64)
        cores = [(i, x) for i, x in enumerate(spellings) if x and x.kind == "core"]
        self._within = {x.core: i for i, x in cores if not x.gap and x.core == x.core.lower()}
        openers = [(i, x) for i, x in cores if _opens_a_word(x.core)]
        known = {x.core for _, x in openers if x.gap and dictionary.index_of(x.core) >= 0}
        self.has_words = len(known) >= LEARNED
        """Whether common words are tokens, as in a vocabulary that was learned from texts."""
        self.after_gap = self._openers([(i, x.core) for i, x in openers if x.gap])
        self.plain = self._openers([(i, x.core) for i, x in openers if not x.gap])
        self.continuations = lru_cache(4096)(self._continuations)
        self._openings: dict[tuple[int, bool], Bits] = {}

    @property
    def can_spell(self) -> bool:
        """Whether the tokens can spell every word and end every line."""
        gaps = len(self.spaces) or LETTERS - {"'"} <= set(self.after_gap.initials)
        ends = len(self.breaks) and len(self.stops)
        return bool(gaps and ends and self._within.keys() >= LETTERS)

    @property
    def capitals(self) -> frozenset[str]:
        """Capital letters that a line can begin with."""
        return frozenset(x for x in map(str, self.plain.initials) if x.isupper())

    # --- of each word of the dictionary ---

    @cached_property
    def counts(self) -> Bits:
        return np.array([1 << x.syllables for x in self.dictionary.entries], np.uint16)

    @cached_property
    def exact_counts(self) -> Bits:
        """As `counts`; none for words whose pronunciations differ in syllables."""
        return self.counts * np.array([x.is_exact for x in self.dictionary.entries], np.uint16)

    @cached_property
    def ends_lines(self) -> Bits:
        """1 for words that a line may end with."""
        dangling = word_list("dangling")
        return np.array([x.text not in dangling for x in self.dictionary.entries], np.uint16)

    @cached_property
    def is_common(self) -> Bits:
        """1 for words that may end a line which rhymes."""
        common = np.array([x.uses >= COMMON for x in self.dictionary.entries], np.uint16)
        return common * self.ends_lines

    @cached_property
    def rhymes(self) -> Indices:
        """One number for all words that rhyme."""
        return np.unique([x.rhyme for x in self.dictionary.entries], return_inverse=True)[1]

    @cached_property
    def sounds(self) -> Indices:
        """One number for all words that sound alike."""
        return np.unique([x.phonemes for x in self.dictionary.entries], return_inverse=True)[1]

    @cached_property
    def leads(self) -> Bits:
        """1 for common words that at least PARTNERS others rhyme with, each of another sound."""
        common = np.flatnonzero(self.is_common)
        pairs = np.unique(np.stack([self.rhymes[common], self.sounds[common]], 1), axis=0)
        partners = np.bincount(pairs[:, 0], minlength=int(self.rhymes.max()) + 1)
        return self.is_common * (partners[self.rhymes] > PARTNERS).astype(np.uint16)

    # --- tokens ---

    def _of_kind(self, kind: Kind) -> Indices:
        return np.array([i for i, x in enumerate(self.spellings) if x and x.kind == kind], np.int64)

    def _openers(self, cores: Sequence[tuple[int, str]], prefix: str = "") -> Openers:
        texts = [prefix + core.lower() for _, core in cores]
        ranges = np.array([self.dictionary.range_of(text) for text in texts], np.int64)
        starts, ends = ranges.reshape(-1, 2).T
        wholes = np.array([self.dictionary.index_of(text) for text in texts], np.int64)
        initials = np.array([core[0] for _, core in cores], dtype="<U1")
        is_capital = [core[0].isupper() and core.partition("'")[0] != "I" for _, core in cores]
        is_part = [not self.has_words or len(text) >= PART or "'" in text for text in texts]
        ids = np.array([i for i, _ in cores], np.int64)
        flags = np.array(is_capital, bool), np.array(is_part, bool)
        return Openers(ids, starts, ends, wholes, initials, *flags)

    def _continuations(self, prefix: str, rarely: bool = False) -> Openers:
        """Tokens that go on with a word that began with `prefix`, in lower case. A short word goes
        on as another `rarely`: "a" with "way"."""
        start, end = self.dictionary.range_of(prefix)
        rests = [x.text[len(prefix) :] for x in self.dictionary.entries[start:end]]
        pieces = {rest[:size] for rest in rests for size in range(1, len(rest) + 1)}
        is_short = self.has_words and len(prefix) < PART and self.dictionary.index_of(prefix) >= 0
        if is_short and not rarely:
            pieces = {piece for piece in pieces if piece[0] == "'"}
        known = sorted(pieces & self._within.keys())
        return self._openers([(self._within[piece], piece) for piece in known], prefix)

    def inner_openings(self, openers: Openers, exact: bool) -> Bits:
        """What `after_gap` or `plain` lead to within a line."""
        key = (id(openers), exact)
        if key not in self._openings:
            counts = self.exact_counts if exact else self.counts
            self._openings[key] = openers.open(counts)
        return self._openings[key]


def _opens_a_word(core: str) -> bool:
    return core[0].isalpha() and core[1:] == core[1:].lower()
