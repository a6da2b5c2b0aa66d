"""Words that ask for music, by what of a model's params they mean. No model reads them.

A model's own styles are known by their names besides. Of several words for one thing the first
counts; a param that the model lacks is not asked for.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from models.params.audio import FASTEST, SLOWEST, Key

STYLES: Mapping[str, str] = {
    "classical": "classic baroque bach chorale choral choir hymn church organ chamber orchestral "
    "symphonic sonata 古典 巴洛克",
    "folk": "folky traditional celtic irish scottish fiddle jig reel hornpipe waltz country "
    "acoustic ballad pub 民谣 民歌",
    "jazz": "jazzy swing swinging bebop bop blues bluesy bossa ragtime lounge saxophone sax 爵士 "
    "蓝调",
    "electronic": "electro electronica techno house trance edm dance disco club rave synth "
    "synthwave chiptune 电子 舞曲",
}
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
NAMED_KEY = re.compile(r"\b([a-g])[ -]?(#|♯|sharp|b|♭|flat)?[ -]?(major|minor)\b")
SAME = {"C#": "Db", "D#": "Eb", "Gb": "F#", "G#": "Ab", "A#": "Bb", "Cb": "B", "Fb": "E"}
SAME |= {"E#": "F", "B#": "C"}


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
        "style": _first(said, {name: f"{name} {STYLES.get(name, '')}" for name in styles}),
        "tempo": _tempo(said),
        "key": _key(said),
    }
    return Understood({k: v for k, v in terms.items() if v is not None and k in takes})


def _first(said: str, table: Mapping[Any, str]) -> Any:
    """What the first of the words that are known stands for, or None."""
    places = [
        (position, meant)
        for meant, names in table.items()
        for word in names.casefold().split()
        if (position := _place(said, word)) is not None
    ]
    return min(places, key=lambda pair: pair[0])[1] if places else None


def _place(said: str, word: str) -> int | None:
    """Where a text has a word: a whole one, of letters that are written with spaces between."""
    ends = r"(?<![a-z])", r"(?![a-z])"
    match = re.search(re.escape(word).join(ends) if word.isascii() else re.escape(word), said)
    return match and match.start()


def _tempo(said: str) -> float | None:
    named = NAMED_TEMPO.search(said)
    if named and SLOWEST <= float(named[1]) <= FASTEST:
        return float(named[1])
    meant = _first(said, TEMPOS)
    return None if meant is None else float(meant)


def _key(said: str) -> Any:
    named = NAMED_KEY.search(said)
    if named is None:
        return _first(said, KEYS)
    sign = {"sharp": "#", "♯": "#", "flat": "b", "♭": "b"}.get(named[2] or "", named[2] or "")
    tonic = named[1].upper() + sign
    key = f"{SAME.get(tonic, tonic)} {named[3]}"
    return key if key in get_args(Key) else None
