"""The folder of one run: its state, its snapshots, its log; every file written whole or not at all.

    run.json                      its settings, and which checkpoints came out of it
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
    def locked(self) -> Iterator[None]:
        """Makes the folder, locks it against other processes and removes half-written files.

        The system releases the lock when the process dies. Raises TrainingRefused if another
        process has locked it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise TrainingRefused(f"another process trains in {self.folder}") from None
            for temporary in self.folder.glob("*.part"):
                temporary.unlink()
            yield

    def started_with(self) -> dict[str, JsonValue] | None:
        """Returns the settings that the run started with, or None if they are unknown."""
        settings = self._facts().get("begun_with")
        return settings if isinstance(settings, dict) else None

    def start_with(self, settings: dict[str, JsonValue]) -> None:
        self._note({"begun_with": settings})

    def has_published(self, sha256: str) -> bool:
        """Whether a checkpoint whose weights have this hash came out of this run, or may have,
        before it was killed."""
        facts = self._facts()
        hashes = facts.get("made")
        return bool(facts.get("making")) or (isinstance(hashes, list) and sha256 in hashes)

    def note_publishing(self) -> None:
        """A checkpoint is about to be written."""
        self._note({"making": True})

    def note_published(self, sha256: str) -> None:
        hashes = self._facts().get("made")
        before = hashes if isinstance(hashes, list) else []
        self._note({"making": False, "made": [*before, sha256]})

    def _facts(self) -> dict[str, JsonValue]:
        path = self.folder / "run.json"
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError:
            facts = None
        if not isinstance(facts, dict):
            raise RunBroken(f"{path} is damaged; move {self.folder} away")
        return facts

    def _note(self, facts: dict[str, JsonValue]) -> None:
        text = json.dumps(self._facts() | facts, indent=1, ensure_ascii=False)
        write_whole(self.folder / "run.json", lambda path: path.write_text(text, encoding="utf-8"))

    def snapshot(self, weights: dict[str, Tensor]) -> None:
        """Keeps these weights; of more than KEPT snapshots, removes those that are closest."""
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
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
