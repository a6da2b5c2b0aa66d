"""Words that ask for music, by what of a model's params they mean. No model reads them.

A model's own styles are known by their names besides. Of several words for one thing the first
counts; a param that the model lacks is not asked for.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from models.params.audio import FASTEST, SLOWEST
from models.params.music_terms import Key, Terms, first_term, key_of, style_terms

TEMPOS: Mapping[int, str] = {  # quarter notes a minute
    60: "largo lento solemn sleepy lullaby 缓慢",
    76: "adagio slow slowly gentle calm quiet relaxing relaxed peaceful soft dreamy rainy 慢 轻柔",
    96: "andante easy laid-back",
    112: "moderato moderate medium",
    138: "allegro lively upbeat cheerful happy fast quick groovy 快 欢快",
    160: "vivace energetic driving wild",
    184: "presto furious frantic",
}
KEYS: Mapping[Key, str] = {
    "C major": "major 大调",
    "A minor": "minor sad melancholy dark 小调 悲伤",
}
"""Where no tonic is named, the one without sharps and flats."""
NAMED_TEMPO = re.compile(r"\b(\d{2,3})\s*bpm\b")
NAMED_KEY = re.compile(
    r"\b([a-g])[ -]?(#|♯|sharp|b|♭|flat)?[ -]?(major|minor|maj|min)\b|([升降]?)([a-g])(大调|小调)"
)


@dataclass(frozen=True)
class Understood:
    """What a text asks for, as params of a model."""

    params: dict[str, Any]

    @property
    def summary(self) -> str:
        """In words, for whoever asked."""
        if not self.params:
            return "nothing: what was left open is drawn"
        return ", ".join(f"{name} {value}" for name, value in self.params.items())


def understand(text: str, styles: Iterable[str], takes: Iterable[str]) -> Understood:
    """What a text means to a model of these styles, which takes these params."""
    said = text.casefold()
    terms = {
        "style": first_term(said, style_terms(styles)),
        "tempo": _tempo(said),
        "key": _key(said),
    }
    return Understood({k: v for k, v in terms.items() if v is not None and k in takes})


def _split(table: Mapping[Any, str]) -> Terms:
    return {meaning: terms.split() for meaning, terms in table.items()}


def _tempo(said: str) -> float | None:
    named = NAMED_TEMPO.search(said)
    if named and SLOWEST <= float(named[1]) <= FASTEST:
        return float(named[1])
    meant = first_term(said, _split(TEMPOS))
    return None if meant is None else float(meant)


def _key(said: str) -> Any:
    named = NAMED_KEY.search(said)
    if named is None:
        return first_term(said, _split(KEYS))
    tonic, sign, mode, chinese_sign, chinese_tonic, chinese_mode = named.groups("")
    return key_of(tonic or chinese_tonic, sign or chinese_sign, mode or chinese_mode)
