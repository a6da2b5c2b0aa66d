"""What a flow makes: raw arrays, checked when they are made, with no encoding."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from models.score import Score


class NotFinite(ValueError):
    """A model produced values that are not finite."""

    def __init__(self) -> None:
        super().__init__("the model produced values that are not finite")


def _check_finite(values: Tensor) -> None:
    if not torch.isfinite(values).all():
        raise NotFinite


def _check_frames(pixels: Tensor) -> None:
    if pixels.ndim != 4 or pixels.shape[1] not in (1, 3) or not len(pixels):
        raise ValueError(f"pixels must be (F, 1 or 3, H, W), got {tuple(pixels.shape)}")
    _check_finite(pixels)


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """A picture: pixels (C, H, W) float32 in [0, 1], C of 1 (grey) or 3 (RGB)."""

    pixels: Tensor
    notes: tuple[str, ...] = ()  # what the client should know of how it was made

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.shape[0] not in (1, 3):
            raise ValueError(f"pixels must be (1 or 3, H, W), got {tuple(self.pixels.shape)}")
        _check_finite(self.pixels)


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Pictures in order, each a small change of the one before: pixels (F, C, H, W) in [0, 1]."""

    pixels: Tensor
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_frames(self.pixels)


@dataclass(frozen=True, slots=True, eq=False)
class Video:
    """A loop of pictures: pixels (F, C, H, W) in [0, 1], `fps` of them a second, played `repeat`
    times in its file; `again` marks it to begin anew at its end."""

    pixels: Tensor
    fps: float
    repeat: int = 1
    again: bool = True
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.fps > 0 or self.repeat < 1:
            raise ValueError(f"fps and repeat must be above 0, got {self.fps} and {self.repeat}")
        _check_frames(self.pixels)


@dataclass(frozen=True, slots=True, eq=False)
class Audio:
    """Sound: samples (channels, n) float32 in [-1, 1], n at least 1, `rate` of them a second."""

    samples: Tensor
    rate: int
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.samples.ndim != 2 or self.samples.shape[0] not in (1, 2) or self.rate < 1:
            shape = tuple(self.samples.shape)
            raise ValueError(f"samples must be (1 or 2, n) at a rate, got {shape} at {self.rate}")
        if not self.samples.shape[1]:
            raise ValueError("there is no sample")
        _check_finite(self.samples)
        if (loudest := self.samples.abs().max().item()) > 1:
            raise ValueError(f"samples must be between -1 and 1, got {loudest}")


@dataclass(frozen=True, slots=True)
class Chance:
    """How likely a token was, as a natural logarithm."""

    token: str  # its text; half a letter is U+FFFD
    logprob: float | None  # None of a text's first token
    raw: bytes  # its bytes: all tokens' together are those of the text


@dataclass(frozen=True, slots=True)
class Drawn:
    """A token that was written, and the likeliest ones there."""

    chance: Chance
    offset: int  # letters of the text before it
    likeliest: tuple[Chance, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """What was written, and how many tokens were read and written for it."""

    text: str
    read: int
    written: int
    finish: Literal["stop", "length"]  # it had said all, or as much as it may
    title: str | None = None
    drawn: tuple[Drawn, ...] | None = None  # of each token, if that was asked for
    prompt_drawn: tuple[Drawn, ...] | None = None  # of each that was read, if that was too
    notes: tuple[str, ...] = ()
    stop_sequence: str | None = None  # the stop string that ended it, if one did


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """Vectors of texts, (N, D) float32 in the order of the texts, each of length 1."""

    values: Tensor
    read: int  # tokens of all texts
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.dtype != torch.float32:
            shape = tuple(self.values.shape)
            raise ValueError(f"vectors must be (N, D) float32, got {shape} {self.values.dtype}")
        _check_finite(self.values)


Artifact = Image | Frames | Video | Audio | Score | Text | Vectors


def values_of(artifact: Artifact) -> Tensor:
    """One array; of a score a row a note: onset, end, pitch, velocity, program; of text its
    bytes."""
    match artifact:
        case Image() | Frames() | Video():
            return artifact.pixels
        case Audio():
            return artifact.samples
        case Score():
            rows = [(n.onset, n.end, n.pitch, n.velocity, n.program) for n in artifact.notes]
            return torch.tensor(rows, dtype=torch.float64).reshape(len(rows), 5)
        case Text():
            return torch.tensor(list(artifact.text.encode()), dtype=torch.uint8)
        case Vectors():
            return artifact.values
