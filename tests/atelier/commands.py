"""The `atelier` command as a user meets it: arguments in; status, output and errors out."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Said:
    status: int
    out: str
    err: str


def atelier(*arguments: str | Path, **environment: str) -> Said:
    """Run the command to its end; no `ATELIER_*` but the given ones reach it."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("ATELIER_")}
    done = subprocess.run(
        [sys.executable, "-m", "atelier", *map(str, arguments)],
        env={**inherited, **environment, "COLUMNS": "100", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def refused(said: Said, status: int = 1) -> str:
    """The one clear line of a command that failed."""
    assert said.status == status, said
    assert "Traceback" not in said.err
    (line,) = said.err.splitlines()
    assert line.startswith("atelier: ")
    return line.removeprefix("atelier: ")
