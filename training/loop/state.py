"""A learner's state: its steps, and what each of its parts keeps, by name."""

from collections.abc import Mapping
from typing import Any, Protocol


class Kept(Protocol):
    """A net or an optimiser."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: Any, /) -> object: ...


def state_of(steps: int, parts: Mapping[str, Kept]) -> dict[str, Any]:
    return {"steps": steps} | {name: part.state_dict() for name, part in parts.items()}


def take_back(state: dict[str, Any], parts: Mapping[str, Kept]) -> int:
    """Every part goes on from what `state_of` kept of it; the steps."""
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return int(state["steps"])
