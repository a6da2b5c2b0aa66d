"""The folder of fetched and built data: $ATELIER_CACHE, or ~/.cache/atelier."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from training.errors import TrainingError


class DataMissing(TrainingError):
    """Data can't be fetched, built or read; the message says what to install, or which file is at
    fault."""


def cache_folder() -> Path:
    """Returns the folder; makes it if it is missing."""
    named = os.environ.get("ATELIER_CACHE")
    folder = Path(named) if named else Path.home() / ".cache" / "atelier"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def save_arrays(path: Path, arrays: dict[str, Any]) -> None:
    """Writes an npz file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.part")
    with temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)
    temporary.replace(path)


def fingerprint(folder: Path, names: list[str], prefix: str = "") -> str:
    """Returns a hash of the sizes and times of change of files in a folder, and of `prefix`."""
    stats = [(name, (folder / name).stat()) for name in names]
    lines = "\n".join(f"{name} {s.st_size} {s.st_mtime_ns}" for name, s in stats)
    return hashlib.sha256(f"{prefix}{lines}".encode()).hexdigest()[:8]


def require_program(name: str, why: str) -> str:
    """Returns the program's path. Raises DataMissing if it is not installed."""
    path = shutil.which(name)
    if path is None:
        raise DataMissing(f"{name} is not installed; it is needed {why}")
    return path


def run_program(arguments: list[str], folder: Path) -> str:
    """Returns its output. Raises DataMissing with the end of its error output if it fails."""
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        complaint = done.stderr.strip()[-500:] or f"exit status {done.returncode}"
        raise DataMissing(f"{Path(arguments[0]).name} failed: {complaint}")
    return done.stdout
