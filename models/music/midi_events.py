"""The events of a Standard MIDI File that a score is made of.

1. Every other event is skipped by its length. What is in it can't cause a file to be refused.
2. The work is bounded by MOST_BYTES, MOST_CHUNKS and MOST_MESSAGES, and no number has more than
   four bytes. Each byte is read once.
3. A broken file raises ScoreError, which says what is broken and in which track.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from operator import itemgetter

from models.score import ScoreError

MOST_BYTES = 2**19
MOST_CHUNKS = 2000
MOST_MESSAGES = 100_000  # of all tracks, skipped ones among them
MOST_NUMBER = 4  # bytes of a number of variable length, as the format has it

NOTE_OFF, NOTE_ON, PROGRAM = 0x8, 0x9, 0xC
TEMPO, METER, KEY = 0x51, 0x58, 0x59
END_OF_TRACK = 0x2F
SYSEX, ESCAPE, META = 0xF0, 0xF7, 0xFF
ONE_BYTE = (PROGRAM, 0xD)  # channel messages with one byte of data; the others have two
SYSTEM_BYTES = {0xF1: 1, 0xF2: 2, 0xF3: 1}  # data of a message that only a cable should carry
FRAME_RATES = {24: Fraction(24), 25: Fraction(25), 29: Fraction(30_000, 1001), 30: Fraction(30)}

Event = tuple[int, int, int, int, int]
"""Tick, track, status, and two numbers. The status of a channel message is its first byte; TEMPO
has microseconds a quarter note, METER a numerator and a power of two, KEY sharps and a mode."""


@dataclass(frozen=True, slots=True)
class MidiEvents:
    """A file's events in the order in which they are played."""

    events: list[Event]
    ticks_per_quarter: int | None
    tick_seconds: Fraction | None
    """How long a tick lasts in a file that counts in film frames; tempo does not change it."""


def read_events(data: bytes) -> MidiEvents:
    """Reads a file of type 0 or 1, or of type 2 with one track. Raises ScoreError."""
    if len(data) > MOST_BYTES:
        raise ScoreError(f"the MIDI file has {len(data)} bytes; at most {MOST_BYTES} are read")
    data = _unwrapped(data)
    chunks = list(_chunks(data))
    if not chunks or chunks[0][0] != b"MThd":
        raise ScoreError("this is no MIDI file")
    _, start, end = chunks[0]
    if end - start < 6 or end > len(data):
        raise ScoreError("the MIDI file is broken: its header is cut short")
    tracks = [(start, end) for name, start, end in chunks if name == b"MTrk"]
    kind = int.from_bytes(data[start : start + 2])
    if kind > 2 or (kind == 2 and len(tracks) > 1):
        raise ScoreError(f"a MIDI file of type {kind}; types 0 and 1 can be read")
    quarter, tick = _division(data[start + 4 : start + 6])
    return MidiEvents(_merged(data, tracks), quarter, tick)


def _unwrapped(data: bytes) -> bytes:
    """The MIDI file inside a RIFF file, as Windows has them."""
    if not (data.startswith(b"RIFF") and data[8:12] == b"RMID"):
        return data
    at = 12
    for _ in range(MOST_CHUNKS):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        if data[at : at + 4] in (b"data", b""):
            break
        at += 8 + size + size % 2
    return data[at + 8 : at + 8 + size]


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of each chunk; the end of the last may lie behind the end of the file."""
    at = 0
    for number in range(len(data)):
        if at + 8 > len(data):
            return
        if number == MOST_CHUNKS:
            raise ScoreError(f"the MIDI file has more than {MOST_CHUNKS} chunks")
        start = at + 8
        at = start + int.from_bytes(data[at + 4 : start])
        yield data[start - 8 : start - 4], start, at


def _division(field: bytes) -> tuple[int | None, Fraction | None]:
    """Ticks a quarter note, or seconds a tick."""
    if field[0] < 0x80:
        ticks = int.from_bytes(field)
        if not ticks:
            raise ScoreError("the MIDI file is broken: its quarter notes have 0 ticks")
        return ticks, None
    rate = FRAME_RATES.get(256 - field[0])
    if rate is None or not field[1]:
        counting = f"{256 - field[0]} film frames a second with {field[1]} ticks each"
        raise ScoreError(f"the MIDI file is broken: it counts {counting}")
    return None, 1 / (rate * field[1])


def _merged(data: bytes, tracks: list[tuple[int, int]]) -> list[Event]:
    """Of events at one tick those of the earlier track come first."""
    events: list[Event] = []
    messages = 0
    for number, (start, end) in enumerate(tracks, 1):
        track = _Track(data[start:end], number, MOST_MESSAGES - messages, end > len(data))
        events += track.read_track()
        messages += track.messages
    return sorted(events, key=itemgetter(0))


@dataclass(slots=True)
class _Track:
    """Where the reading of a track is."""

    data: bytes
    number: int
    most_messages: int
    cut: bool
    """Whether the file ends before the track does, by its length. It may still be whole."""
    at: int = 0
    tick: int = 0
    running: int = 0
    """The status byte of the last channel message: the next may leave it out."""
    messages: int = 0

    events: list[Event] = field(default_factory=list)

    def read_track(self) -> list[Event]:
        try:
            while self.at < len(self.data) and self._read_message():
                pass
        except IndexError:
            raise self._broken("is cut short") from None
        ended = bool(self.events) and self.events[-1][2] == END_OF_TRACK
        if self.cut and not ended:
            raise self._broken("is cut short")
        return self.events

    def _read_message(self) -> bool:
        """False at the end of the track."""
        self.messages += 1
        if self.messages > self.most_messages:
            raise ScoreError(f"the MIDI file has more than {MOST_MESSAGES} messages")
        self.tick += self._number()
        status = self._status()
        if status < SYSEX:
            self._read_channel_message(status)
        elif status == META:
            kind, content = self._byte(), self._content()
            self._read_meta(kind, content)
            return kind != END_OF_TRACK
        elif status in (SYSEX, ESCAPE):
            self._content()
        else:
            self.at += SYSTEM_BYTES.get(status, 0)
        return True

    def _status(self) -> int:
        """The next status, or the one before where there is none."""
        status = self._byte()
        if status < 0x80:
            self.at -= 1
            status = self.running
            if not status:
                raise self._broken("begins with data of no message")
        elif status < SYSEX:
            self.running = status
        return status

    def _read_channel_message(self, status: int) -> None:
        kind = status >> 4
        first = self._byte()
        second = 0 if kind in ONE_BYTE else self._byte()
        if kind in (NOTE_OFF, NOTE_ON, PROGRAM):
            if first | second > 127:
                raise self._broken(f"has a note or program with the number {max(first, second)}")
            self.events.append((self.tick, self.number, status, first, second))

    def _read_meta(self, kind: int, content: bytes) -> None:
        """A meter or key that is too short says nothing; a tempo would change what is heard."""
        if kind == TEMPO:
            if len(content) < 3:
                raise self._broken(f"has a tempo of {len(content)} bytes; it takes 3")
            self._add(TEMPO, int.from_bytes(content[:3]), 0)
        elif kind == METER and len(content) >= 2:
            self._add(METER, content[0], content[1])
        elif kind == KEY and len(content) >= 2:
            self._add(KEY, int.from_bytes(content[:1], signed=True), content[1])
        elif kind == END_OF_TRACK:
            self._add(END_OF_TRACK, 0, 0)

    def _add(self, status: int, first: int, second: int) -> None:
        self.events.append((self.tick, self.number, status, first, second))

    def _byte(self) -> int:
        """Raises IndexError at the end of the track."""
        byte = self.data[self.at]
        self.at += 1
        return byte

    def _number(self) -> int:
        """Seven bits of each byte; the last has no eighth."""
        number = 0
        for _ in range(MOST_NUMBER):
            byte = self._byte()
            number = number << 7 | byte & 0x7F
            if byte < 0x80:
                return number
        raise self._broken(f"has a number of more than {MOST_NUMBER} bytes")

    def _content(self) -> bytes:
        size = self._number()
        if self.at + size > len(self.data):
            raise self._broken("is cut short")
        self.at += size
        return self.data[self.at - size : self.at]

    def _broken(self, what: str) -> ScoreError:
        where = f"track {self.number}"
        return ScoreError(f"the MIDI file is broken: {where} {what} at byte {self.at} of it")
