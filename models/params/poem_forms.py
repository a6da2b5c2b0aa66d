"""The forms that a poem can be held to, as what each of its lines must be. No torch."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, Field

from models.params.conflicts import (
    ABSENT,
    GIVEN,
    Below,
    Conflict,
    Matching,
    one_of,
    other_than,
)
from models.params.fields import FOREIGN, Without

PoemForm = Literal["haiku", "limerick", "sonnet", "couplet", "acrostic", "free verse"]
FORMS: tuple[PoemForm, ...] = (
    "haiku",
    "limerick",
    "sonnet",
    "couplet",
    "acrostic",
    "free verse",
)
COUNTED: dict[PoemForm, int] = {"couplet": 2, "free verse": 8}
"""Forms of as many lines as a request asks for, with how many there are if it doesn't."""
FIXED: tuple[PoemForm, ...] = ("haiku", "limerick", "sonnet")
"""Forms that are always as long."""
MOST_LINES = 40
MOST_LETTERS = 20
"""Of an acrostic's word."""
TOKENS_A_SYLLABLE = 2  # at most, in a vocabulary that was learned from texts


def _letters(text: str) -> str:
    if re.fullmatch(r"[A-Za-z]+", text) is None:
        raise ValueError("it must have the letters A to Z alone")
    return text


Letters = Annotated[
    str,
    Field(min_length=2, max_length=MOST_LETTERS),
    AfterValidator(_letters),
    Without(r"[^A-Za-z]"),
]
"""A word that is spelled with A to Z."""


@dataclass(frozen=True, slots=True)
class LineRule:
    """What one line of a poem must be."""

    least: int  # syllables
    most: int
    rhyme: str = ""  # lines of the same letter rhyme; empty rhymes with none
    initial: str = ""  # the capital letter that it begins with; empty is any
    is_exact: bool = False
    """Whether it has no words whose pronunciations differ in syllables, such as "fire"."""


class FormRequest(NamedTuple):
    """A form with what a request says of it."""

    form: PoemForm
    acrostic: str | None = None  # letters A to Z, in either case
    lines: int | None = None

    @property
    def rules(self) -> tuple[LineRule, ...]:
        """What each line must be."""
        match self.form:
            case "haiku":
                return tuple(LineRule(count, count, is_exact=True) for count in (5, 7, 5))
            case "limerick":
                return tuple(LineRule(*((5, 7) if x == "B" else (7, 10)), x) for x in "AABBA")
            case "sonnet":
                return tuple(LineRule(9, 11, x) for x in "ABABCDCDEFEFGG")
            case "couplet":
                return tuple(LineRule(8, 11, f"{i // 2}") for i in range(self.line_count))
            case "acrostic":
                return tuple(LineRule(4, 12, initial=x) for x in (self.acrostic or "").upper())
            case "free verse":
                return (LineRule(2, 12),) * self.line_count

    @property
    def line_count(self) -> int:
        """The lines of a form of as many as are asked for."""
        return self.lines or COUNTED[self.form]

    @property
    def least_tokens(self) -> int:
        """What `max_tokens` must be for the longest poem of this form."""
        return TOKENS_A_SYLLABLE * sum(rule.most for rule in self.rules)


STYLES: dict[str, PoemForm] = {form: form for form in FORMS} | {"couplets": "couplet"}
"""Styles of poems that name a form."""


def with_form_of_style(values: Any) -> Any:
    """The fields of a request; the style of a poem becomes its form if it names one."""
    if not isinstance(values, Mapping) or values.get("kind") != "poem":
        return values
    form = _form_of(values.get("style"))
    if form is None or values.get("form") is not None:
        return values
    return {**values, "form": form, "style": None}


def _form_of(style: object) -> PoemForm | None:
    return STYLES.get(style.strip().lower()) if isinstance(style, str) else None


def check_form(values: Mapping[str, Any]) -> None:
    """Raises ValueError if other fields of a request for a form don't go with it."""
    if _form_of(values.get("style")) is not None:
        raise ValueError("form and style name a form each: give one of them")
    about = values.get("prompt") or values.get("theme") or ""
    if re.search(FOREIGN, about):
        raise ValueError("form needs a prompt in English: poems in a form are English")


def check_lines(lines: int, form: PoemForm | None) -> None:
    """Raises ValueError if a poem of this form can't have as many lines."""
    if form not in COUNTED:
        raise ValueError(f"lines needs the form {' or '.join(COUNTED)}")
    if form == "couplet" and lines % 2:
        raise ValueError("lines must be even for a couplet: they rhyme in pairs")


def check_max_tokens(max_tokens: int, form: PoemForm | None) -> None:
    """Raises ValueError if a form that is always as long needs more tokens."""
    if form in FIXED and max_tokens < (least := FormRequest(form).least_tokens):
        raise ValueError(f"max_tokens must be at least {least} for a {form}")


def _refused(forms: Iterable[PoemForm], other: Conflict) -> Iterator[Conflict]:
    """What does not go with these forms, whether `form` names one or the style of a poem does."""
    styles = [style for style, form in STYLES.items() if form in forms]
    yield {"form": one_of(*forms), **other}
    yield {"form": ABSENT, "style": one_of(*styles), "kind": one_of("poem"), **other}


def _only_for(forms: Iterable[PoemForm], name: str) -> Iterator[Conflict]:
    """A field that goes with these forms alone."""
    styles = [style for style, form in STYLES.items() if form in forms]
    yield {name: GIVEN, "kind": other_than("poem")}
    yield {name: GIVEN, "form": other_than(None, *forms)}
    yield {name: GIVEN, "form": ABSENT, "style": other_than(*styles)}


def conflicts_of_forms() -> Iterator[Conflict]:
    """What does not go with the forms of poems."""
    yield {"form": GIVEN, "kind": other_than("poem")}
    yield {"form": GIVEN, "style": one_of(*STYLES)}
    yield from _refused(FORMS, {"prompt": Matching(FOREIGN)})
    yield from _refused(FORMS, {"theme": Matching(FOREIGN)})
    yield from _refused(FORMS, {"stop": other_than([])})
    for form in FIXED:
        yield from _refused([form], {"max_tokens": Below(FormRequest(form).least_tokens)})
    yield from _refused(["acrostic"], {"acrostic": ABSENT})
    yield from _only_for(["acrostic"], "acrostic")
    yield from _only_for(COUNTED, "lines")
    yield from _refused(["couplet"], {"lines": one_of(*range(1, MOST_LINES + 1, 2))})
