"""The format of music in the cache: a folder a style, with shards of whole pieces.

A shard is a safetensors file, which is mapped into memory and read where it is needed:

    sound         (S,) int16      16 kHz mono, all pieces end to end
    sound_start   (P + 1,) int64  where each piece begins in it
    times         (N, 2) float64  onset and end of every note, seconds from its piece's beginning
    notes         (N, 3) uint8    pitch, velocity, program (128 is percussion)
    note_start    (P + 1,) int64  where each piece's notes begin

Its metadata has a line of JSON under "shard": `made`, what it was made with; `next`, the number of
the piece after its last, so that a build that was broken off goes on; and `pieces`, what is known
of each. Sound is as loud as it was rendered; `gain` in corpus.json makes the loudest sample of the
whole corpus PEAK.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from models.score import Note, Score, moved
from training.data.cache import DataMissing
from training.data.music.rendering import Sound

PEAK = 0.95
STORED = 0.5  # of int16's range that a sample of 1 takes: louder ones have room
LOUDEST = 1 / STORED
CORPUS = "corpus.json"


@dataclass(frozen=True, slots=True)
class Label:
    """What is known of a piece beside its notes and its sound."""

    name: str
    test: bool
    tempo: float = 120.0
    meter: tuple[int, int] = (4, 4)
    key: str | None = None
    silence: float = 0.0
    """Seconds of it that were cut off before the first note, so that bars can be counted."""


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A piece as it is heard: sound (samples,), and the notes in it; none if they aren't known."""

    label: Label
    sound: Sound
    notes: tuple[Note, ...] = ()

    @property
    def score(self) -> Score:
        """From the first bar on, as it was composed."""
        label = self.label
        score = Score(self.notes, label.tempo, label.meter, label.key)
        return moved(score, label.silence)


def write_shard(path: Path, origin: str, follows: int, recordings: Sequence[Recording]) -> None:
    """Whole or not at all. Raises DataMissing for a sample beyond LOUDEST."""
    for one in recordings:
        loudest = float(np.abs(one.sound).max(initial=0))
        if not loudest <= LOUDEST:
            raise DataMissing(f"{one.label.name} is too loud: {loudest:.1f}, beyond {LOUDEST:g}")
    notes = [note for one in recordings for note in one.notes]
    table = {
        "sound": np.concatenate([_stored(one.sound) for one in recordings]),
        "sound_start": _starts([len(one.sound) for one in recordings]),
        "times": np.array([(n.onset, n.end) for n in notes], "f8").reshape(-1, 2),
        "notes": np.array([(n.pitch, n.velocity, n.program) for n in notes], "u1").reshape(-1, 3),
        "note_start": _starts([len(one.notes) for one in recordings]),
    }
    header = {"made": origin, "next": follows, "pieces": [asdict(one.label) for one in recordings]}
    temporary = path.with_name(f"{path.name}.part")  # one that was left half written is overwritten
    save_file(table, temporary, {"shard": json.dumps(header)})
    temporary.replace(path)


def shards_of(folder: Path) -> list[Path]:
    """Those of a style, in order."""
    return sorted(folder.glob("*.safetensors"))


def header_of(path: Path) -> dict[str, Any]:
    """The metadata, with `samples`. Raises DataMissing for a file that is damaged or not ours."""
    with _opened(path) as opened:
        header: dict[str, Any] = json.loads((opened.metadata() or {}).get("shard", "null"))
        if not header:
            raise DataMissing(f"{path} is no shard of music")
        return header | {"samples": opened.get_slice("sound").get_shape()[0]}


def read_shard(path: Path) -> Iterator[Recording]:
    """Its pieces, as loud as they are stored. Raises DataMissing."""
    header = header_of(path)
    with _opened(path) as opened:
        sound = opened.get_slice("sound")
        times, rows = opened.get_tensor("times").tolist(), opened.get_tensor("notes").tolist()
        starts, firsts = opened.get_tensor("sound_start"), opened.get_tensor("note_start")
        for number, piece in enumerate(header["pieces"]):
            label = Label(**piece | {"meter": tuple(piece["meter"])})
            one = slice(firsts[number], firsts[number + 1])
            notes = (Note(*t, *row) for t, row in zip(times[one], rows[one], strict=True))
            heard = sound[starts[number] : starts[number + 1]].astype(np.float32)
            yield Recording(label, heard / (32767 * STORED), tuple(notes))


def loudest(path: Path) -> float:
    """Of all its samples."""
    with _opened(path) as opened:
        sound = opened.get_tensor("sound")
    return float(np.abs(sound.astype(np.int32)).max(initial=0)) / (32767 * STORED)


def pieces_of(folder: Path) -> dict[str, int]:
    """How many a corpus has, by style."""
    styles = json.loads((folder / CORPUS).read_text())["styles"]
    return {name: one["pieces"] for name, one in styles.items()}


def summary(folder: Path) -> list[tuple[str, ...]]:
    """A table of what a corpus holds, with a line of heads."""
    styles = json.loads((folder / CORPUS).read_text())["styles"]
    rows = [
        (name, f"{one['minutes']:.1f}", str(one["pieces"]), str(one["held_out"]))
        for name, one in styles.items()
    ]
    return [("style", "minutes", "pieces", "held out"), *rows]


def _opened(path: Path) -> Any:
    try:
        return safe_open(path, "numpy")
    except (SafetensorError, OSError) as error:
        raise DataMissing(f"{path} is damaged, delete it: {error}") from None


def _stored(sound: Sound) -> NDArray[np.int16]:
    return np.round(sound * (32767 * STORED)).astype(np.int16)


def _starts(lengths: Sequence[int]) -> NDArray[np.int64]:
    return np.cumsum([0, *lengths], dtype=np.int64)
