"""Checks the form of a poem, by `pronouncing` and none of the code that writes poems."""

import re
from collections.abc import Mapping
from typing import Any

import pronouncing

Form = Mapping[str, Any]  # the params of a request: form, acrostic, lines
SYLLABLES = {
    "haiku": ((5, 5), (7, 7), (5, 5)),
    "limerick": ((7, 10), (7, 10), (5, 7), (5, 7), (7, 10)),
    "sonnet": ((9, 11),) * 14,
}
RHYMES = {"limerick": "AABBA", "sonnet": "ABABCDCDEFEFGG"}
_WORD = re.compile(r"[A-Za-z]+(?:['’][A-Za-z]+)*")


def faults_of(text: str, asked: Form) -> list[str]:
    """What is wrong with the form of a poem, in words; none where it is kept."""
    lines, form = text.strip("\n").split("\n"), asked["form"]
    count = asked.get("lines") or {"couplet": 2, "free verse": 8}.get(form, 0)
    sizes = SYLLABLES.get(form) or ((2, 12),) * (count or len(asked.get("acrostic") or ""))
    if len(lines) != len(sizes):
        return [f"{len(lines)} lines instead of {len(sizes)}"]
    faults = []
    for number, (line, (least, most)) in enumerate(zip(lines, sizes, strict=True), 1):
        syllables = syllables_of(line)
        if syllables is None or not least <= syllables <= most:
            faults.append(f"line {number} has {syllables} syllables")
    scheme = RHYMES.get(form, "".join(chr(65 + i // 2) for i in range(count)))
    rhyming = form in ("limerick", "sonnet", "couplet")
    for letter in sorted(set(scheme)) if rhyming else ():
        lines_of_letter = [line for line, x in zip(lines, scheme, strict=True) if x == letter]
        first, *others = [(words_of(line) or [""])[-1] for line in lines_of_letter]
        faults += [f"{first} and {end} don't rhyme" for end in others if not rhyme(first, end)]
    if form == "acrostic" and "".join(x[:1] for x in lines) != asked["acrostic"].upper():
        faults.append("its lines begin otherwise")
    return faults


def words_of(line: str) -> list[str]:
    return [word.replace("’", "'").lower() for word in _WORD.findall(line)]


def syllables_of(line: str) -> int | None:
    """By the first pronunciation of each word; None where one has none."""
    phones = [pronouncing.phones_for_word(word) for word in words_of(line)]
    if not all(phones):
        return None
    return sum(int(pronouncing.syllable_count(first)) for first, *_ in phones)


def rhyme(one: str, other: str) -> bool:
    """Whether two words rhyme, and are two."""
    first, second = (
        {pronouncing.rhyming_part(phones) for phones in pronouncing.phones_for_word(word)}
        for word in (one, other)
    )
    return one != other and bool(first & second)
