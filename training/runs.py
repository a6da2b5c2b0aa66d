"""The folder of one run: its state, its snapshots, its log; every file written whole or not at all.

    state.pt                      what a resumed run needs: step, seconds, log, the learner's state
    snapshot-000400.safetensors   the weights as they would be served at that step
    sample-000400.png, loss.png   for the eye

state.pt is read with weights_only: it can hold tensors and plain values, never code.
"""

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from training.progress import Line


@dataclass
class Run:
    """Where a training stands, and where it lives."""

    folder: Path
    step: int = 0
    seconds: float = 0.0
    lines: list[Line] = field(default_factory=list)

    def save(self, learner: dict[str, Any]) -> None:
        state = {k: v for k, v in asdict(self).items() if k != "folder"} | {"learner": learner}
        write_whole(self.folder / "state.pt", lambda path: torch.save(state, path))

    def load(self, device: torch.device) -> dict[str, Any]:
        """Take over the saved step, time and log; the learner's state is returned."""
        state = torch.load(self.folder / "state.pt", map_location=device, weights_only=True)
        self.step, self.seconds = state["step"], state["seconds"]
        self.lines = [(step, losses) for step, losses in state["lines"]]
        learner: dict[str, Any] = state["learner"]
        return learner

    def saved(self) -> bool:
        return (self.folder / "state.pt").exists()

    def snapshot(self, weights: dict[str, Tensor]) -> None:
        write_whole(self._at(self.step), lambda path: save_file(weights, path))

    def snapshot_at(self, step: int) -> dict[str, Tensor] | None:
        path = self._at(step)
        return load_file(path) if path.exists() else None

    def snapshots(self) -> list[int]:
        """The steps of which the served weights were kept."""
        return sorted(int(p.stem.split("-")[1]) for p in self.folder.glob("snapshot-*.safetensors"))

    def _at(self, step: int) -> Path:
        return self.folder / f"snapshot-{step:06d}.safetensors"


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Through a neighbouring name, synced, then renamed: a crash leaves the old file."""
    part = path.with_name(path.name + ".part")
    write(part)
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    part.replace(path)
