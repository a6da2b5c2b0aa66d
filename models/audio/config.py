"""What a checkpoint's `process` says of the sound it makes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.checkpoint.header import CheckpointError
from models.music.piano_roll import Rolled


@dataclass(frozen=True, slots=True)
class Sound:
    """How samples and scores are meant."""

    rate: int
    """Samples a second."""
    gain: float
    """What decoded ones are multiplied by."""
    rolled: Rolled | None
    """How scores are told to it; None if it can't play them."""

    @property
    def pitches(self) -> range:
        return self.rolled.pitches if self.rolled else range(0)


def sound_of(told: Mapping[str, Any]) -> Sound:
    """Raises CheckpointError.

    A gain of more than 1 would have to be cut off: what a net learns from is as loud as its classes
    go.
    """
    try:
        rate, gain = told["rate"], float(told.get("gain", 1.0))
        rolled = Rolled(*map(int, told["pitches"])) if "pitches" in told else None
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"its sound can't be made: {error!r}") from None
    if type(rate) is not int or not (1000 <= rate <= 192_000 and 0 < gain <= 1):
        raise CheckpointError(f"its sound can't be made: a rate of {rate}, a gain of {gain}")
    return Sound(rate, gain, rolled)
