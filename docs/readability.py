"""How easy the pages are to read: `python docs/readability.py [--compare REVISION]`.

Counts prose alone: no code blocks and no table rows. A sentence ends at a full stop, question mark,
exclamation mark or colon, or with its paragraph or list item. Reading ease is Flesch's (1948),
206.835 - 1.015 words per sentence - 84.6 syllables per word: 60 is plain English, 30 is hard.
"""

import argparse
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^(\|| {4}|#).*$", re.MULTILINE)
IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)")
LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
CODE = re.compile(r"`[^`]*`")
END = re.compile(r"(?<=[.!?:])[\"*)]*\s|\n\s*\n|\n\s*(?:[-*]|\d+\.)\s")
WORD = re.compile(r"[^\W\d_][\w'’-]*")
VOWELS = re.compile(r"[aeiouy]+")


@dataclass(frozen=True)
class Figures:
    """What is counted on a page."""

    sentences: tuple[str, ...]
    words: int
    syllables: int

    @property
    def mean(self) -> float:
        """Words per sentence."""
        return self.words / max(1, len(self.sentences))

    @property
    def longest(self) -> str:
        return max(self.sentences, key=lambda sentence: len(sentence.split()), default="")

    @property
    def ease(self) -> float:
        """Flesch's reading ease."""
        return 206.835 - 1.015 * self.mean - 84.6 * self.syllables / max(1, self.words)

    def __str__(self) -> str:
        longest = len(self.longest.split())
        return f"{self.words:6d} {self.mean:6.1f} {longest:8d} {self.ease:6.1f}"


def prose_of(page: str) -> str:
    """The text of a page without code blocks, tables, headings and the addresses of links."""
    for pattern, text in ((FENCE, "\n"), (ROW, "\n"), (IMAGE, ""), (LINK, r"\1"), (CODE, "x")):
        page = pattern.sub(text, page)
    return page


def syllables_in(word: str) -> int:
    """Groups of vowels, a silent e at the end left out."""
    word = word.lower()
    count = len(VOWELS.findall(word))
    silent = word.endswith("e") and not word.endswith("le") and count > 1
    return max(1, count - silent)


def figures_of(page: str) -> Figures:
    parts = (part.strip() for part in END.split(prose_of(page)))
    sentences = tuple(part for part in parts if WORD.search(part))
    words = [word for sentence in sentences for word in WORD.findall(sentence)]
    return Figures(sentences, len(words), sum(map(syllables_in, words)))


def pages_now() -> Iterator[tuple[str, str]]:
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        yield path.relative_to(ROOT).as_posix(), path.read_text("utf-8")


def pages_at(revision: str) -> Iterator[tuple[str, str]]:
    for name in git("ls-tree", "-r", "--name-only", revision, "README.md", "docs").splitlines():
        if name.endswith(".md"):
            yield name, git("show", f"{revision}:{name}")


def git(*command: str) -> str:
    return subprocess.run(
        ["git", "-C", str(ROOT), *command], capture_output=True, text=True, check=True
    ).stdout


def show(title: str, pages: Mapping[str, str], limit: int) -> None:
    print(f"{title:38} {'words':>6} {'mean':>6} {'longest':>8} {'ease':>6}")
    for name, page in pages.items():
        print(f"{name:38} {figures_of(page)}")
    total = figures_of("\n\n".join(pages.values()))
    print(f"{'all pages':38} {total}")
    long = [s for s in total.sentences if len(s.split()) > limit]
    print(f"{len(long)} of {len(total.sentences)} sentences have more than {limit} words\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compare", metavar="REVISION", help="show this revision's pages first")
    parser.add_argument("--limit", type=int, default=35, help="words that a sentence may have")
    parser.add_argument("--list", action="store_true", help="print the sentences above the limit")
    options = parser.parse_args()
    if options.compare:
        show(f"at {options.compare}", dict(pages_at(options.compare)), options.limit)
    pages = dict(pages_now())
    show("now", pages, options.limit)
    if options.list:
        for name, page in pages.items():
            for sentence in figures_of(page).sentences:
                if len(sentence.split()) > options.limit:
                    print(f"{name}: {' '.join(sentence.split())}\n")


if __name__ == "__main__":
    main()
