"""The texts of the page: each language has all of them, and each is used."""

import re
from pathlib import Path

from app.web.assets import HERE

STATIC = HERE / "static"
ENTRY = re.compile(r"(?:'([^'\n]+)'|\b([a-z]\w*)): '")
ASKED = re.compile(r"\bt\(\s*'([^']+)'")
CHOSEN = ("action.", "drop.", "job.", "nav.", "state.", "status.", "theme.", "type.")
"""What the page makes the end of a name from: a job's status, the kind of a file."""
OF_PARAMS = ("param.", "help.", "choice.")
"""What the API has in English already."""


def names(language: str) -> set[str]:
    text = (STATIC / "locales" / f"{language}.js").read_text()
    return {quoted or bare for quoted, bare in ENTRY.findall(text)}


def sources() -> str:
    return "".join(path.read_text() for path in modules())


def modules() -> list[Path]:
    return [path for path in STATIC.rglob("*.js") if path.parent.name != "locales"]


def test_both_languages_have_every_text() -> None:
    chinese = {name for name in names("zh") if not name.startswith(OF_PARAMS)}
    assert names("en") == chinese


def test_every_text_that_is_asked_for_is_there() -> None:
    asked = set(ASKED.findall(sources()))
    assert len(asked) > 100
    assert asked <= names("en")


def test_no_text_is_left_over() -> None:
    source = sources()
    unused = {name for name in names("en") if f"'{name}'" not in source}
    assert {name for name in unused if not name.startswith(CHOSEN)} <= {"language."}
