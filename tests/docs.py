"""The pages of the documentation, and the code blocks in them."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced code block. `note` is what follows the language on its first line."""

    language: str
    note: str
    text: str

    @property
    def runs(self) -> bool:
        """Whether a test runs it against a service."""
        return self.language in ("sh", "python") and not self.note


def name_of(page: Path) -> str:
    """The page's path from the repository's root."""
    return page.relative_to(ROOT).as_posix()


def blocks_of(page: Path) -> list[Block]:
    """The code blocks of a page, in order."""
    return [Block(a, b.strip(), c) for a, b, c in FENCE.findall(page.read_text("utf-8"))]
