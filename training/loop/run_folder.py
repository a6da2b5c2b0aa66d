"""The folder of one run: its state, its snapshots, its log; every file written whole or not at all.

    run.json                      what it was begun with, and which checkpoints it has made
    state.pt                      what a resumed run needs: step, seconds, log, the learner's state
    snapshot-000400.safetensors   the weights as they would be served at that step
    sample-000400.png, loss.png   for the eye
    lock                          held by the process that trains

state.pt is read with weights_only: it can hold tensors and plain values, never code.
"""

import fcntl
import json
import os
import pickle
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import JsonValue
from safetensors.torch import load_file, save_file
from torch import Tensor

from training.errors import RunBroken, TrainingRefused
from training.loop.progress import Line

KEPT = 20
"""Snapshots of a run: as many as give a choice, and no more than a disk will bear."""


@dataclass
class RunFolder:
    """Where a training stands, and where it lives."""

    folder: Path
    step: int = 0
    seconds: float = 0.0
    lines: list[Line] = field(default_factory=list)

    def save(self, learner: dict[str, Any]) -> None:
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "lines": self.lines,
            "learner": learner,
        }
        write_whole(self.folder / "state.pt", lambda path: torch.save(state, path))

    def load(self, device: torch.device) -> dict[str, Any]:
        """Take over the saved step, time and log; the learner's state is returned.

        Raises RunBroken if another program wrote the file, or damaged it.
        """
        path = self.folder / "state.pt"
        try:
            state = torch.load(path, map_location=device, weights_only=True)
            self.step, self.seconds = state["step"], state["seconds"]
            self.lines = [(step, losses) for step, losses in state["lines"]]
            learner: dict[str, Any] = state["learner"]
        except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, TypeError, ValueError):
            raise RunBroken(f"{path} is no state of a training; move {self.folder} away") from None
        return learner

    def saved(self) -> bool:
        return (self.folder / "state.pt").exists()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder, and keep other processes from training in it; the system gives it up
        when this one dies. What a killed one left half written is cleared away.

        Raises TrainingRefused if another holds it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise TrainingRefused(f"another process trains in {self.folder}") from None
            for part in self.folder.glob("*.part"):
                part.unlink()
            yield

    def begun_with(self) -> dict[str, JsonValue] | None:
        """What the run was told to be begun with; None for one that was never told."""
        told = self._told().get("begun_with")
        return told if isinstance(told, dict) else None

    def begin(self, settings: dict[str, JsonValue]) -> None:
        self._tell({"begun_with": settings})

    def made(self, sha256: str) -> bool:
        """Whether a checkpoint whose weights have this hash came out of this run, or may have,
        before a kill."""
        told = self._told()
        made = told.get("made")
        return bool(told.get("making")) or (isinstance(made, list) and sha256 in made)

    def note_making(self) -> None:
        """A checkpoint is about to be written."""
        self._tell({"making": True})

    def note_made(self, sha256: str) -> None:
        made = self._told().get("made")
        before = made if isinstance(made, list) else []
        self._tell({"making": False, "made": [*before, sha256]})

    def _told(self) -> dict[str, JsonValue]:
        path = self.folder / "run.json"
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError:
            told = None
        if not isinstance(told, dict):
            raise RunBroken(f"{path} is damaged; move {self.folder} away")
        return told

    def _tell(self, facts: dict[str, JsonValue]) -> None:
        text = json.dumps(self._told() | facts, indent=1, ensure_ascii=False)
        write_whole(self.folder / "run.json", lambda path: path.write_text(text, encoding="utf-8"))

    def snapshot(self, weights: dict[str, Tensor]) -> None:
        """Keep these weights; of more than KEPT snapshots those that stand closest go."""
        write_whole(self._at(self.step), lambda path: save_file(weights, path))
        for step in surplus(self.snapshots(), KEPT):
            self._at(step).unlink()

    def snapshot_at(self, step: int) -> dict[str, Tensor] | None:
        path = self._at(step)
        return load_file(path) if path.exists() else None

    def snapshots(self) -> list[int]:
        """The steps of which the served weights were kept."""
        return sorted(int(p.stem.split("-")[1]) for p in self.folder.glob("snapshot-*.safetensors"))

    def _at(self, step: int) -> Path:
        return self.folder / f"snapshot-{step:06d}.safetensors"


def surplus(steps: list[int], most: int) -> list[int]:
    """What to give up of rising steps, so that `most` are left, spread over the whole run.

    The first and the last stay; each time the one goes whose neighbours are nearest to each other.
    """
    left = list(steps)
    while len(left) > max(most, 2):
        gaps = [left[i + 1] - left[i - 1] for i in range(1, len(left) - 1)]
        del left[1 + gaps.index(min(gaps))]
    return [step for step in steps if step not in left]


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Through a neighbouring name of its own, synced, then renamed: a crash leaves the old file."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        write(part)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
