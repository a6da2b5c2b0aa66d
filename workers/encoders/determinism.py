"""Whether the encoders repeat their bytes, for the files that a model can make.

An encoder that reads memory which it has not written gives another file now and then. So each kind
of file is written twice from one artifact, while new memory holds different bytes.
"""

import ctypes
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from models.artifacts import Artifact, Audio, Chance, Drawn, Frames, Image, Text, Vectors, Video
from models.checkpoint.header import Header
from models.families import FAMILIES
from models.modalities import (
    MODALITIES,
    MP3_RATES,
    PICTURE_FORMATS,
    SOUND_FORMATS,
    TEXT_FORMATS,
    VECTOR_FORMATS,
    VIDEO_FORMATS,
    Kind,
)
from models.score import DRUMS, Note, Score
from workers.encoders.encode import encode
from workers.encoders.types import Facts, Sheet

log = logging.getLogger("atelier.worker")

SIDE, RATE = 64, 16_000  # where a header says nothing
FRAMES, FPS, SECONDS = 16, 8.0, 0.5
FEW = 3  # frames of an animation
FACTS = Facts("specimen", "0" * 64, {"steps": 1}, 0)
FILLS = (0x00, 0xAB)  # what new memory holds, the first time and the second
M_PERTURB = -6  # of glibc's mallopt: new memory is filled with the complement of its value
FORMATS: Mapping[Kind, tuple[str, ...]] = {
    "score": ("midi",),
    "text": TEXT_FORMATS,
    "vectors": VECTOR_FORMATS,
}
"""The formats of kinds that are no pictures, and have all of them whatever their measures."""
BLOCKS = tuple(2**power for power in range(10, 20))  # bytes


@dataclass(frozen=True)
class Specimen:
    """A fixed artifact of one kind, in the size that a model makes."""

    kind: Kind
    size: tuple[int, int, int] = (3, SIDE, SIDE)
    """Channels, height and width."""
    frames: int = FRAMES
    rate: int = RATE

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats that such an artifact can be asked for as."""
        match self.kind:
            case "video":
                return VIDEO_FORMATS[:1]
            case "animation":  # of WebP and GIF, which take each frame by itself
                return VIDEO_FORMATS[1:]
            case "sound":
                return tuple(f for f in SOUND_FORMATS if f != "mp3" or self.rate in MP3_RATES)
            case _:
                return FORMATS.get(self.kind, PICTURE_FORMATS)

    def artifact(self) -> Artifact | Sheet:
        return BUILDERS[self.kind](self)


def specimens(header: Header) -> list[Specimen]:
    """What a model of this header makes."""
    family = FAMILIES[header.family]
    facts = family.facts(header)
    side, channels = facts.side or SIDE, 1 if facts.channels == 1 else 3
    kinds = MODALITIES[family.modality].kinds
    if family.formats:  # scores alone
        kinds = ("score",)
    return [
        Specimen(
            kind,
            (channels, side, side),
            FEW if kind == "animation" else facts.frames or FRAMES,
            facts.rate or RATE,
        )
        for kind in kinds
    ]


def unrepeatable(header: Header) -> frozenset[str]:
    """The output formats in which a model's files may be others the next time."""
    return frozenset[str]().union(*map(formats_at_fault, specimens(header)))


@cache
def formats_at_fault(specimen: Specimen) -> frozenset[str]:
    """Those whose two encodings differ in a byte. Tried once a process."""
    artifact = specimen.artifact()
    fault = frozenset(
        output_format
        for output_format in specimen.formats
        if encoding(artifact, output_format, FILLS[0])
        != encoding(artifact, output_format, FILLS[1])
    )
    for output_format in sorted(fault):
        facts = {"kind": specimen.kind, "format": output_format, "size": specimen.size}
        log.warning("an encoder does not repeat its bytes", extra=facts)
    return fault


def encoding(artifact: Artifact | Sheet, output_format: str, fill: int) -> list[bytes]:
    """The files of an artifact, written while new memory holds this byte."""
    with new_memory(fill):
        return [file.data for file in encode(artifact, output_format, FACTS)]


@contextmanager
def new_memory(fill: int) -> Iterator[None]:
    """New memory holds this byte: glibc fills all of the process. Elsewhere what is freed just
    before is likely to be given out again."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # no glibc
        blocks = [bytearray([fill]) * size for size in BLOCKS]
        del blocks
        yield
        return
    mallopt(M_PERTURB, fill ^ 0xFF)
    try:
        yield
    finally:
        mallopt(M_PERTURB, 0)


def _pixels(specimen: Specimen, frames: int) -> Tensor:
    """(frames, C, H, W): a disc that goes round over a ramp, beside noise that stays."""
    channels, height, width = specimen.size
    rng = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(
        torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij"
    )
    noise = torch.rand(channels, height, width, generator=rng)
    turn = torch.arange(frames).view(-1, 1, 1) / frames * 2 * torch.pi
    disc = ((x - turn.cos() / 3) ** 2 + (y - turn.sin() / 3) ** 2 < 0.15).unsqueeze(1)
    still = torch.where((x > 0.6) & (y > 0.6), noise, (x + 1) / 2)
    return torch.where(disc, noise.mean((1, 2), keepdim=True), still).expand(-1, channels, -1, -1)


def _picture(specimen: Specimen) -> Image:
    return Image(_pixels(specimen, 1)[0])


def _sheet(specimen: Specimen) -> Sheet:
    return Sheet(tuple(Image(pixels) for pixels in _pixels(specimen, 2)))


def _frames(specimen: Specimen) -> Frames:
    return Frames(_pixels(specimen, 2))


def _video(specimen: Specimen) -> Video:
    return Video(_pixels(specimen, specimen.frames), FPS)


def _sound(specimen: Specimen) -> Audio:
    """A tone that rises, with noise at its end."""
    count = round(SECONDS * specimen.rate)
    moments = torch.arange(count) / specimen.rate
    noise = torch.rand(count, generator=torch.Generator().manual_seed(0)) - 0.5
    tone = torch.sin(2 * torch.pi * (220 + 440 * moments) * moments) / 2
    return Audio(torch.where(moments > SECONDS / 2, noise, tone)[None], specimen.rate)


def _score(specimen: Specimen) -> Score:
    return Score((Note(0.0, 0.5, 60), Note(0.5, 1.25, 64, 90, 33), Note(0.0, 0.25, 38, 70, DRUMS)))


def _text(specimen: Specimen) -> Text:
    one, once = Chance("One", -0.5, b"One"), Chance("Once", -1.25, b"Once")
    drawn = Drawn(one, 0, (one, once))
    return Text("One day.", 3, 1, "stop", "A day", (drawn,))


def _vectors(specimen: Specimen) -> Vectors:
    values = torch.randn(3, SIDE, generator=torch.Generator().manual_seed(0))
    return Vectors(values, 9)


BUILDERS: dict[Kind, Callable[[Specimen], Artifact | Sheet]] = {
    "picture": _picture,
    "sheet": _sheet,
    "frames": _frames,
    "video": _video,
    "animation": _video,
    "sound": _sound,
    "score": _score,
    "text": _text,
    "vectors": _vectors,
}
