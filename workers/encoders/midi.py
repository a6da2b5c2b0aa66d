"""Scores to MIDI files, with what made them as a text at the beginning of the first track."""

import io
from collections import Counter
from dataclasses import replace
from functools import partial

import mido

from models.music.midi import CHANNELS, write_midi
from models.score import DRUMS, Score
from workers.encoders.types import Encoded, Facts

FAMILY = 8  # General MIDI has its instruments in families of so many


def score_file(score: Score, facts: Facts) -> Encoded:
    """A score of more instruments than a file has room for is played by those that it uses most,
    and a note says so."""
    fitted, left_out = with_room(score)
    file = mido.MidiFile(file=io.BytesIO(write_midi(fitted)))
    file.tracks[0].insert(0, mido.MetaMessage("text", text=facts.text()))
    out = io.BytesIO()
    file.save(file=out)
    note_text = f"{left_out} instruments have no room in a MIDI file; others play for them"
    seconds = round(score.seconds, 4)
    notes = (note_text,) if left_out else ()
    return Encoded(out.getvalue(), "audio/midi", "score", seconds=seconds, notes=notes)


def with_room(score: Score) -> tuple[Score, int]:
    """The score by no more instruments than there are channels, and how many others stand in for:
    one of their family, or the one next to them by number."""
    uses = Counter(note.program for note in score.notes if note.program != DRUMS)
    kept = sorted(uses, key=lambda program: (-uses[program], program))[: len(CHANNELS)]
    if len(kept) == len(uses):
        return score, 0
    plays = {DRUMS: DRUMS}
    plays |= {program: min(kept, key=partial(_far, program)) for program in uses}
    notes = tuple(replace(note, program=plays[note.program]) for note in score.notes)
    return replace(score, notes=notes), len(uses) - len(kept)


def _far(program: int, other: int) -> tuple[bool, int]:
    return other // FAMILY != program // FAMILY, abs(other - program)
