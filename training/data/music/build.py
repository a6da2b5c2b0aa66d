"""Builds a corpus of music by style, shard by shard: pieces are composed, played and kept.

1. A style's pieces come in a fixed order, so the same corpus is built again whatever is broken off,
   and more minutes only add shards.
2. A shard that is there is whole. One that was made otherwise is never mixed with new ones.
3. Which pieces are held out follows from their kin alone.
"""

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from models.score import Score, ScoreError, moved
from training.data.cache import DataMissing, cache_folder
from training.data.images.emoji import held_out
from training.data.music import grooves, tunes
from training.data.music.minutes import showing
from training.data.music.rendering import RATE, Synth, find_synth, render
from training.data.music.shards import (
    CORPUS,
    PEAK,
    Label,
    Recording,
    header_of,
    loudest,
    shards_of,
    write_shard,
)

log = logging.getLogger("atelier.training")

EDITION = 1  # of how the corpus is made; another one is another corpus
MINUTES = 120.0  # a style
SHARD = 5.0  # minutes, to the end of the piece
LEAD = 0.1  # seconds of silence before the first note


@dataclass(frozen=True, slots=True)
class Style:
    """A kind of music: its pieces by name, in the order they are taken, and how each is made."""

    name: str
    about: str
    licence: str
    names: Callable[[], list[str]]
    """Raises DataMissing with what to install, if what composes is not here."""
    compose: Callable[[str], tunes.Tune]
    gain: float
    """FluidSynth's, so that all styles are about as loud."""


STYLES = {
    style.name: style
    for style in (
        Style(
            "classical",
            "four-part chorales of J. S. Bach for church organ, from music21's corpus",
            "public domain",
            tunes.chorales,
            tunes.chorale,
            0.6,
        ),
        Style(
            "folk",
            "fiddle tunes of Ryan's Mammoth Collection (1883) for flute, from music21's corpus",
            "public domain",
            tunes.fiddle_tunes,
            tunes.fiddle_tune,
            1.5,
        ),
        Style(
            "jazz",
            "piano, bass and percussion by MMA over random progressions",
            "made here",
            lambda: grooves.names_of(grooves.JAZZ),
            lambda name: grooves.grooved(grooves.JAZZ, name),
            0.65,
        ),
        Style(
            "electronic",
            "sawtooth, synth bass and percussion by MMA over random progressions",
            "made here",
            lambda: grooves.names_of(grooves.ELECTRONIC),
            lambda name: grooves.grooved(grooves.ELECTRONIC, name),
            0.45,
        ),
    )
}
ABOUT = "Scores in four styles, played by FluidSynth with FluidR3: " + "; ".join(
    f"{style.name}, {style.about}" for style in STYLES.values()
)


@dataclass(frozen=True, slots=True)
class Works:
    """What one style is built from."""

    names: list[str]
    record: Callable[[str], Recording]
    made_with: str
    """What with: shards that were made otherwise are not gone on with."""


def build_music(
    minutes: float = MINUTES,
    styles: Iterable[str] = (),
    font: Path | None = None,
    folder: Path | None = None,
) -> Path:
    """Build what is missing of a corpus, and return its folder: by default `music` in the cache.

    `styles` are some of STYLES, all if none is named. Raises DataMissing with what to install.
    """
    wanted = list(styles) or list(STYLES)
    for name in wanted:
        if name not in STYLES:
            raise DataMissing(f"no style {name!r}; there are {', '.join(STYLES)}")
    synth = find_synth(font)
    works = {}
    for name in wanted:
        style = STYLES[name]
        own = replace(synth, gain=style.gain)
        origin = f"edition {EDITION}, {own.name}"
        works[name] = Works(style.names(), player(style.compose, own), origin)
    return build(folder or cache_folder() / "music", works, minutes)


def player(compose: Callable[[str], tunes.Tune], synth: Synth) -> Callable[[str], Recording]:
    """Composes a piece by its name and plays it; what does so raises Unreadable."""

    def record(name: str) -> Recording:
        try:
            piece = compose(name)
            return played(piece.score, piece.name, held_out(piece.kin), synth)
        except ScoreError as error:
            raise tunes.UnreadableTune(f"{name} can't be played: {error}") from None

    return record


def played(score: Score, name: str, test: bool, synth: Synth) -> Recording:
    """From LEAD before its first note on."""
    silence = max(0.0, score.notes[0].onset - LEAD)
    heard = moved(score, -silence)
    label = Label(name, test, score.tempo, score.meter, score.key, silence)
    return Recording(label, render(heard, synth), heard.notes)


def build(folder: Path, works: Mapping[str, Works], minutes: float) -> Path:
    """Writes each style's shards up to `minutes`, then `corpus.json`. Raises DataMissing."""
    for style in works:
        (folder / style).mkdir(parents=True, exist_ok=True)
    with showing(minutes) as show:
        for style, work in works.items():
            for done in fill(folder / style, work, minutes):
                show(style, done)
    summarise(folder)
    return folder


def fill(folder: Path, work: Works, minutes: float) -> Iterator[float]:
    """Adds shards up to `minutes`, or until no piece is left; yields the minutes so far."""
    done, follows, number = 0.0, 0, 0
    for number, path in enumerate(shards_of(folder), 1):  # noqa: B007 (the last is gone on from)
        shard = header_of(path)
        if shard["made"] != work.made_with:
            raise DataMissing(
                f"{path} was made with {shard['made']}, not {work.made_with}; delete its folder"
            )
        done, follows = done + shard["samples"] / RATE / 60, shard["next"]
        yield done
    while done < minutes and follows < len(work.names):
        recordings: list[Recording] = []
        length = 0.0
        while length < min(SHARD, minutes - done) and follows < len(work.names):
            try:
                recordings.append(work.record(work.names[follows]))
                length += len(recordings[-1].sound) / RATE / 60
            except tunes.UnreadableTune as error:
                log.warning("left out: %s", error)
            follows += 1
            yield done + length
        if not recordings:
            return
        write_shard(folder / f"{number:03d}.safetensors", work.made_with, follows, recordings)
        number, done = number + 1, done + length


def summarise(folder: Path) -> None:
    """Write what the whole corpus is, and the gain that makes its loudest sample PEAK."""
    styles: dict[str, Any] = {}
    for style_folder in sorted(path for path in folder.iterdir() if path.is_dir()):
        shards = shards_of(style_folder)
        headers = [header_of(path) for path in shards]
        pieces = [piece for one in headers for piece in one["pieces"]]
        if pieces:
            styles[style_folder.name] = {
                "shards": len(shards),
                "minutes": round(sum(one["samples"] for one in headers) / RATE / 60, 2),
                "pieces": len(pieces),
                "held_out": sum(piece["test"] for piece in pieces),
                "peak": max(map(loudest, shards)),
                "made": headers[0]["made"],
            }
    if not styles:
        raise DataMissing(f"there is no music in {folder}")
    gain = PEAK / max(1e-6, *(one["peak"] for one in styles.values()))
    temporary = folder / f"{CORPUS}.part"
    temporary.write_text(
        json.dumps({"rate": RATE, "gain": gain, "styles": styles}, indent=2) + "\n"
    )
    temporary.replace(folder / CORPUS)
