"""A learner's state: its steps, and the state of each component by name."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor, nn

from training.errors import TrainingRefused


class Stateful(Protocol):
    """A net or an optimiser."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: Any, /) -> object: ...


class Resumable(ABC):
    """A learner that saves and restores its components, and starts from no checkpoint."""

    steps = 0
    refusal: str | None
    """Why the training can't start from a checkpoint."""

    @abstractmethod
    def components(self) -> dict[str, Stateful]:
        """Returns everything that has a state, by its name in a saved run."""

    def state(self) -> dict[str, Any]:
        states = {name: one.state_dict() for name, one in self.components().items()}
        return {"steps": self.steps} | states

    def restore(self, state: dict[str, Any]) -> None:
        for name, component in self.components().items():
            component.load_state_dict(state[name])
        self.steps = int(state["steps"])

    def begin(self, weights: Mapping[str, Tensor]) -> None:
        raise TrainingRefused(str(self.refusal))


def state_on_cpu(net: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.contiguous().cpu() for name, tensor in net.state_dict().items()}
