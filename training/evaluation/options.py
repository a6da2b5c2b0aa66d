"""What an evaluation is asked for, and what it records."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue


@dataclass(frozen=True, slots=True)
class EvalOptions:
    """What `atelier eval` was asked for."""

    params: Mapping[str, JsonValue] = field(default_factory=dict)
    n: int | None = None
    """Pictures a seed; None is 2,000, or as many as there are training pictures."""
    seeds: int = 3
    reference: str | None = None
    """A data set, as `training.data.images.sets` knows them; None is what the checkpoint learnt
    from."""


Record = dict[str, JsonValue]
"""What a card keeps of one evaluation."""
