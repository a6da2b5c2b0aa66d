"""Scores to MIDI files, with what made them as a text at the beginning of the first track."""

import io

import mido

from models.midi import write_midi
from models.score import Score
from workers.files import Encoded, Facts


def score_file(score: Score, facts: Facts) -> Encoded:
    file = mido.MidiFile(file=io.BytesIO(write_midi(score)))
    file.tracks[0].insert(0, mido.MetaMessage("text", text=facts.text()))
    out = io.BytesIO()
    file.save(file=out)
    return Encoded(out.getvalue(), "audio/midi", "score", seconds=round(score.seconds, 4))
