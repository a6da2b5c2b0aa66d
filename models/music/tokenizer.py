"""Scores as tokens of a small vocabulary, after REMI (Huang and Yang 2020, arXiv 2002.00212).

A piece is its prefix and then its bars:

    style, key, tempo, meter
    bar, (position, ([program] [velocity] [duration] pitch | drum)...)..., bar, ..., end

1. Time is counted in steps, twelve to a quarter note: sixteenths and triplets are whole steps.
2. A program, a velocity and a duration hold until the next one or the next bar: chords are short,
   and a sequence that is cut at its bars can be read. A bar begins with DEFAULTS.
3. In a position notes stand by program and pitch. Percussion lasts a step, whatever the duration.
4. `allowed` says what may follow, so that what is drawn token by token can always be read, and can
   always go on.

miditok has this and more, but brings Hugging Face's hub and a tokenizer of its own, which a service
that makes music does not need.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from models.score import DRUMS, KEYS, Note, Score, ScoreError

STEPS = 12  # a quarter note
METERS = ((4, 4), (2, 2), (3, 4), (2, 4), (6, 8), (9, 8), (12, 8), (3, 2), (6, 4), (3, 8), (5, 4))
LONGEST_BAR = 72  # steps, of 12/8 and 6/4 and 3/2
TEMPOS = tuple(range(40, 244, 4))  # quarter notes a minute
DURATIONS = (*range(1, 25), *range(27, 49, 3), 54, 60, 66, 72, 84, 96, 120, 144, 192)  # steps
VELOCITIES = tuple(range(15, 128, 16))
DRUM_KEYS = range(27, 88)
WORDS: dict[str, int] = {
    "pad": 1,
    "end": 1,
    "bar": 1,
    "key": 1 + len(KEYS),
    "tempo": len(TEMPOS),
    "meter": len(METERS),
    "position": LONGEST_BAR,
    "program": DRUMS + 1,
    "velocity": len(VELOCITIES),
    "pitch": 128,
    "drum": len(DRUM_KEYS),
    "duration": len(DURATIONS),
}
"""How many tokens there are of each kind, in the order of their numbers; styles come last, so that
a vocabulary of other styles has the same numbers for all else."""
HELD = ("program", "velocity", "duration")
STRUCK = ("pitch", "drum")
DEFAULTS = {"program": 0, "velocity": VELOCITIES.index(79), "duration": DURATIONS.index(6)}
"""What a bar begins with, by number."""
NOTES = (*HELD, "pitch", "drum")
MORE = (*NOTES, "position", "bar", "end")
FOLLOWS: dict[str, tuple[str, ...]] = {
    "style": ("key",),
    "key": ("tempo",),
    "tempo": ("meter",),
    "meter": ("bar", "end"),
    "bar": ("position", "bar", "end"),
    "position": NOTES,
    "program": NOTES[1:],
    "velocity": NOTES[2:],
    "duration": ("pitch",),
    "pitch": MORE,
    "drum": MORE,
    "end": ("pad",),
    "pad": ("pad",),
}


@dataclass(frozen=True, slots=True)
class State:
    """Where a sequence has come to, as far as it bears on what may follow."""

    kind: str = ""
    """Of the last token; "" before the first."""
    length: int = STEPS * 4
    """Steps of a bar."""
    position: int = -1
    """Of this bar, in steps."""
    program: int = 0
    struck: int = -1
    """Which pitch or drum of the program stood last in this position."""
    least: int = 0
    """The lowest program that may still be named in this position."""


class MusicTokens:
    """The vocabulary of some styles; token 0 fills up rows."""

    def __init__(self, styles: Sequence[str]) -> None:
        self.styles = tuple(styles)
        self.first: dict[str, int] = {}
        """The number of each kind's first token."""
        self.size = 0
        for kind, count in (*WORDS.items(), ("style", len(self.styles))):
            self.first[kind] = self.size
            self.size += count
        self._kinds = list(self.first)
        self._starts = list(self.first.values())

    def token(self, kind: str, value: int) -> int:
        return self.first[kind] + value

    def kind_of(self, token: int) -> tuple[str, int]:
        """Its kind, and which of that kind it is. Raises ScoreError for none of the vocabulary."""
        if not 0 <= token < self.size:
            raise ScoreError(f"no token {token} in a vocabulary of {self.size}")
        kind = bisect_left(self._starts, token + 1) - 1
        return self._kinds[kind], token - self._starts[kind]

    def prefix(
        self, style: str, key: str | None, tempo: float, meter: tuple[int, int]
    ) -> list[int]:
        """What a piece begins with. Raises ScoreError for a style or a meter that is not known."""
        if style not in self.styles:
            raise ScoreError(f"no style {style!r}; there are {', '.join(self.styles)}")
        if meter not in METERS:
            raise ScoreError(f"no tokens for the meter {meter[0]}/{meter[1]}")
        return [
            self.token("style", self.styles.index(style)),
            self.token("key", 0 if key is None else 1 + KEYS.index(key)),
            self.token("tempo", nearest(TEMPOS, tempo)),
            self.token("meter", METERS.index(meter)),
        ]

    def encode(self, score: Score, style: str) -> list[int]:
        """A whole piece, `snapped` to the steps, the prefix first and `end` last."""
        tokens = self.prefix(style, score.key, score.tempo, score.meter)
        length, bar, position, current = round(score.quarters * STEPS), -1, -1, DEFAULTS
        for step, note, duration in _steps(score):
            while bar < step // length:
                bar, position, current = bar + 1, -1, DEFAULTS
                tokens.append(self.token("bar", 0))
            if position != step % length:
                position = step % length
                tokens.append(self.token("position", position))
            drum = note.program == DRUMS
            loudness = nearest(VELOCITIES, note.velocity)
            wanted = {"program": note.program, "velocity": loudness}
            wanted["duration"] = current["duration"] if drum else duration
            tokens += [self.token(k, wanted[k]) for k in HELD if wanted[k] != current[k]]
            current = wanted
            struck = ("drum", note.pitch - DRUM_KEYS.start) if drum else ("pitch", note.pitch)
            tokens.append(self.token(*struck))
        return [*tokens, self.token("end", 0)]

    def decode(self, tokens: Sequence[int]) -> tuple[Score, str]:
        """The score and its style, of a piece or of how one begins.

        Raises ScoreError for a token where none of its kind may follow.
        """
        notes: list[Note] = []
        values = {"style": -1, "key": 0, "tempo": nearest(TEMPOS, 120), "meter": 0}
        state, bar, current = State(), -1, DEFAULTS
        for token in tokens:
            kind, value = self.kind_of(token)
            state = self.after(state, token)
            if kind in values:
                values[kind] = value
            elif kind == "bar":
                bar, current = bar + 1, DEFAULTS
            elif kind in HELD:
                current = current | {kind: value}
            elif kind in STRUCK:
                step = bar * state.length + state.position
                notes.append(_note(step, kind, value, current, TEMPOS[values["tempo"]]))
        key = KEYS[values["key"] - 1] if values["key"] else None
        score = Score(tuple(notes), float(TEMPOS[values["tempo"]]), METERS[values["meter"]], key)
        return score, "" if values["style"] < 0 else self.styles[values["style"]]

    def after(self, state: State, token: int) -> State:
        """Where a sequence is one token on. Raises ScoreError for one that may not follow."""
        kind, value = self.kind_of(token)
        if not any(start <= token < stop for start, stop in self.allowed(state)):
            raise ScoreError(f"a {kind} token can't stand after {state.kind or 'nothing'}")
        if kind == "meter":
            over, under = METERS[value]
            return State(kind, STEPS * 4 * over // under)
        if kind == "bar":
            return State(kind, state.length)
        if kind == "position":
            return State(kind, state.length, value, state.program)
        if kind == "program":
            return replace(state, kind=kind, program=value, struck=-1)
        if kind in STRUCK:
            return replace(state, kind=kind, struck=value, least=state.program + 1)
        return replace(state, kind=kind)

    def allowed(self, state: State) -> list[tuple[int, int]]:
        """Which tokens may follow: ranges, from a token to the one after the last.

        Positions go on within a bar, and programs and pitches within a position. Percussion is
        struck where the program is DRUMS, pitches elsewhere; it takes no duration, after which
        there would be no pitch.
        """
        drums = state.program == DRUMS
        left = state.struck + 1 < WORDS["drum" if drums else "pitch"]
        ranges = []
        for kind in FOLLOWS.get(state.kind, ("style",)):
            low, high = 0, WORDS.get(kind, len(self.styles))
            if kind == "position":
                low, high = state.position + 1, state.length
            elif kind == "program":
                low = state.least
            elif kind in STRUCK and drums == (kind == "drum"):
                low = state.struck + 1
            elif kind in STRUCK or (kind == "duration" and drums) or (kind in HELD and not left):
                continue
            if low < high:
                ranges.append((self.first[kind] + low, self.first[kind] + high))
        return ranges


def nearest(values: Sequence[int], wanted: float) -> int:
    """The place of the value that lies nearest, the smaller of two; `values` rise."""
    index = bisect_left(values, wanted)
    if index == 0 or (index < len(values) and values[index] == wanted):
        return index
    if index == len(values) or wanted - values[index - 1] <= values[index] - wanted:
        return index - 1
    return index


def _note(step: int, kind: str, value: int, current: dict[str, int], tempo: int) -> Note:
    second = 60 / tempo / STEPS
    steps = 1 if kind == "drum" else DURATIONS[current["duration"]]
    pitch = DRUM_KEYS[value] if kind == "drum" else value
    velocity = VELOCITIES[current["velocity"]]
    return Note(step * second, (step + steps) * second, pitch, velocity, current["program"])


def snapped(score: Score) -> Score:
    """As tokens can say it: times in steps, lengths, tempo and velocities of those there are.

    What `decode(encode(score))` gives. Raises ScoreError for percussion that has no token.
    """
    tempo = float(TEMPOS[nearest(TEMPOS, score.tempo)])
    second = 60 / tempo / STEPS
    notes = [
        Note(
            step * second,
            (step + (1 if note.program == DRUMS else DURATIONS[duration])) * second,
            note.pitch,
            VELOCITIES[nearest(VELOCITIES, note.velocity)],
            note.program,
        )
        for step, note, duration in _steps(score)
    ]
    return Score(tuple(notes), tempo, score.meter, score.key)


def _steps(score: Score) -> Iterator[tuple[int, Note, int]]:
    """Each note with the step it begins in and the number of its duration, in the order of law 3.

    Of notes that fall together on one pitch the longest stays, and one that is struck again ends.
    A length that there is not becomes the next shorter one, so that it never meets the next note.
    """
    rate = score.tempo / 60 * STEPS
    coarse = Score(
        tuple(
            Note(
                round(note.onset * rate),
                round(note.onset * rate) + max(1, round((note.end - note.onset) * rate)),
                note.pitch,
                note.velocity,
                note.program,
            )
            for note in score.notes
        )
    )
    rows = []
    for note in coarse.notes:
        if note.program == DRUMS and note.pitch not in DRUM_KEYS:
            raise ScoreError(f"no token for the percussion key {note.pitch}")
        length = note.end - note.onset
        rows.append((int(note.onset), note, bisect_right(DURATIONS, length) - 1))
    yield from sorted(rows, key=lambda row: (row[0], row[1].program, row[1].pitch))
