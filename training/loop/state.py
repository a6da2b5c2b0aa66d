"""A learner's state: its steps, and the state of each component by name."""

from collections.abc import Mapping
from typing import Any, Protocol


class Stateful(Protocol):
    """A net or an optimiser."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: Any, /) -> object: ...


def state_of(steps: int, components: Mapping[str, Stateful]) -> dict[str, Any]:
    return {"steps": steps} | {name: one.state_dict() for name, one in components.items()}


def load_state(state: dict[str, Any], components: Mapping[str, Stateful]) -> int:
    """Restores every component from what `state_of` returned; returns the steps."""
    for name, component in components.items():
        component.load_state_dict(state[name])
    return int(state["steps"])
