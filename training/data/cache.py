"""Where fetched and built data lie: $ATELIER_CACHE, or ~/.cache/atelier."""

import os
import shutil
import subprocess
from pathlib import Path

from training.errors import TrainingError


class DataMissing(TrainingError):
    """Data can't be fetched, built or read; the message says what to install, or which file is at
    fault."""


def cache_folder() -> Path:
    """Made if it is not there."""
    named = os.environ.get("ATELIER_CACHE")
    folder = Path(named) if named else Path.home() / ".cache" / "atelier"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def require_program(name: str, why: str) -> str:
    """The program's path. Raises DataMissing if it is not installed."""
    found = shutil.which(name)
    if found is None:
        raise DataMissing(f"{name} is not installed; it is needed {why}")
    return found


def run_program(arguments: list[str], folder: Path) -> str:
    """Its output. Raises DataMissing with the end of what it complained of, if it failed."""
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        complaint = done.stderr.strip()[-500:] or f"exit status {done.returncode}"
        raise DataMissing(f"{Path(arguments[0]).name} failed: {complaint}")
    return done.stdout
