"""Jazz and electronic accompaniments by MMA (Musical MIDI Accompaniment) over random progressions.

MMA reads chords and the name of a groove and writes the bass, the chords, the riffs and the
percussion that a band would play. All but bass and percussion go to one instrument of the style, so
that the style and a pitch tell how a note sounds.
"""

import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from models.music.midi import read_midi
from models.music.tokenizer import DRUM_KEYS
from models.score import DRUMS, TONICS, Note, Score
from training.data.cache import require_program, run_program
from training.data.music.rendering import INSTALL
from training.data.music.tunes import Tune

BASSES = range(32, 40)
HIGHEST_BASS = 52
SECONDS = 40  # how long a piece is, to the next four bars
MOST = 100_000  # pieces of a style that have names: more than anyone asks for

Chord = tuple[int, str]
"""Semitones above the key's tonic, and MMA's word for the rest of its name."""

JAZZ_MAJOR: Sequence[Sequence[Chord]] = (
    ((2, "m7"), (7, "7"), (0, "M7"), (0, "6")),
    ((0, "M7"), (9, "m7"), (2, "m7"), (7, "7")),
    ((4, "m7"), (9, "7"), (2, "m7"), (7, "7")),
    ((0, "M7"), (0, "7"), (5, "M7"), (5, "m6")),
    ((0, "M7"), (1, "dim7"), (2, "m7"), (7, "7")),
    ((5, "M7"), (10, "7"), (0, "M7"), (9, "7")),
    ((6, "m7b5"), (11, "7b9"), (4, "m7"), (9, "7")),
    ((2, "7"), (2, "7"), (2, "m7"), (7, "13")),
)
JAZZ_MINOR: Sequence[Sequence[Chord]] = (
    ((0, "m7"), (2, "m7b5"), (7, "7b9"), (0, "m7")),
    ((5, "m7"), (10, "7"), (3, "M7"), (8, "M7")),
    ((2, "m7b5"), (7, "7b9"), (0, "m6"), (0, "m7")),
    ((0, "m7"), (8, "7"), (7, "7"), (0, "m7")),
    ((0, "m7"), (0, "m7"), (5, "m7"), (5, "m7")),
    ((8, "M7"), (7, "7"), (0, "m7"), (7, "7")),
)
LOOPS_MAJOR: Sequence[Sequence[Chord]] = (
    ((0, ""), (7, ""), (9, "m"), (5, "")),
    ((9, "m"), (5, ""), (0, ""), (7, "")),
    ((5, ""), (7, ""), (9, "m"), (0, "")),
    ((0, ""), (4, "m"), (5, ""), (7, "sus")),
)
LOOPS_MINOR: Sequence[Sequence[Chord]] = (
    ((0, "m"), (8, ""), (3, ""), (10, "")),
    ((0, "m"), (10, ""), (8, ""), (10, "")),
    ((0, "m"), (5, "m"), (8, ""), (7, "m")),
    ((0, "m"), (0, "m"), (3, ""), (10, "")),
)


@dataclass(frozen=True, slots=True)
class Groove:
    """One of MMA's, with the pace it is good at in quarter notes a minute."""

    name: str
    pace: tuple[int, int]
    quarters: int = 4
    """Of a bar."""


@dataclass(frozen=True, slots=True)
class Band:
    """What a style is played with and over."""

    style: str
    grooves: tuple[Groove, ...]
    bass: int
    chords: int
    major: Sequence[Sequence[Chord]]
    minor: Sequence[Sequence[Chord]]
    repeats: int
    """How often a progression is played before the next."""


SLOW, MIDDLE, FAST = (66, 92), (108, 152), (150, 200)
JAZZ = Band(
    "jazz",
    (
        *(Groove(name, MIDDLE) for name in ("SwingWalk", "SwingWalkPlus", "EasySwingWalk")),
        *(Groove(name, MIDDLE) for name in ("ModernJazz", "JazzCombo", "JazzComboPlus")),
        *(Groove(name, FAST) for name in ("Bebop", "BebopPlus", "FastSwingWalk")),
        *(Groove(name, SLOW) for name in ("MellowJazz", "MellowJazzPlus", "SlowJazzWalk")),
        *(Groove(name, SLOW) for name in ("NiteJazz", "NiteJazzPlus", "EvansishPlus")),
        *(Groove(name, (100, 150), 3) for name in ("JazzWaltz", "JazzWaltz1")),
    ),
    bass=32,  # acoustic
    chords=0,  # piano
    major=JAZZ_MAJOR,
    minor=JAZZ_MINOR,
    repeats=1,
)
ELECTRONIC = Band(
    "electronic",
    (
        *(Groove(name, (124, 140)) for name in ("Trance", "Trance1", "Trance2")),
        *(Groove(f"casio/{n.lower()}:{n}", (126, 142)) for n in ("Trance1", "Trance2", "Rave")),
        *(Groove(f"casio/{n.lower()}:{n}", (118, 132)) for n in ("House", "Techno", "DancePop1")),
        *(Groove(f"casio/{n.lower()}:{n}", (116, 130)) for n in ("Dance1", "Dance2")),
        Groove("alexis/teamtechno:TeamTechno", (124, 138)),
    ),
    bass=38,  # synth bass
    chords=81,  # a sawtooth
    major=LOOPS_MAJOR,
    minor=LOOPS_MINOR,
    repeats=2,
)


def find_mma() -> str:
    """The program. Raises DataMissing with what to install."""
    return require_program(
        "mma", f"to make {JAZZ.style} and {ELECTRONIC.style} pieces; {INSTALL.format('mma')}"
    )


def names_of(band: Band) -> list[str]:
    """Raises DataMissing if there is no MMA to play them."""
    find_mma()
    return [f"{band.style}-{number:05d}" for number in range(MOST)]


def grooved(band: Band, name: str) -> Tune:
    """The piece of that name, the same each time. Raises DataMissing if MMA fails, and ScoreError
    if it makes what is no score."""
    rng = random.Random(name)
    groove = rng.choice(band.grooves)
    tempo, tonic = rng.randint(*groove.pace), rng.randrange(12)
    mode = rng.choice(("major", "minor"))
    bars = 4 * round(SECONDS * tempo / 60 / groove.quarters / 4)
    chords = progression(band, mode, bars, rng)
    text = sheet(groove, tempo, tonic, chords, rng.randrange(10_000))
    notes = [
        note if note.program == DRUMS else replace(note, program=_voice(band, note))
        for note in read_midi(played(text), most_together=1000).notes
        if note.program != DRUMS or note.pitch in DRUM_KEYS  # fonts have no others
    ]
    score = Score(tuple(notes), tempo, (groove.quarters, 4), f"{TONICS[tonic]} {mode}")
    return Tune(name, name, score)


def progression(band: Band, mode: str, bars: int, rng: random.Random) -> list[Chord]:
    """A chord a bar; the last is the tonic's, for a close."""
    choices = band.major if mode == "major" else band.minor
    chords: list[Chord] = []
    while len(chords) < bars - 1:
        chords += list(rng.choice(choices)) * band.repeats
    home = next(chord for phrase in choices for chord in phrase if chord[0] == 0)
    return [*chords[: bars - 1], home]


def sheet(groove: Groove, tempo: int, tonic: int, chords: Sequence[Chord], seed: int) -> str:
    """What MMA reads: the chords by number, after how to play them."""
    head = [f"RndSeed {seed}", f"Tempo {tempo}", f"Time {groove.quarters}", f"Groove {groove.name}"]
    lines = [
        f"{number} {TONICS[(tonic + semitones) % 12]}{kind}"
        for number, (semitones, kind) in enumerate(chords, 1)
    ]
    return "\n".join([*head, *lines, ""])


def played(text: str) -> bytes:
    """The MIDI file that MMA makes of a sheet."""
    mma = find_mma()
    with tempfile.TemporaryDirectory(prefix="atelier-") as temporary:
        folder = Path(temporary)
        (folder / "in.mma").write_text(text)
        run_program([mma, "-w", "-xNOCREDIT", "-f", "out.mid", "in.mma"], folder)
        return (folder / "out.mid").read_bytes()


def _voice(band: Band, note: Note) -> int:
    """A synth bass may play riffs: high up it is none."""
    low = note.program in BASSES and note.pitch <= HIGHEST_BASS
    return band.bass if low else band.chords
