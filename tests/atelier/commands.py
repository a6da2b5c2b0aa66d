"""The `atelier` command as a user meets it: arguments in; status, output and errors out."""

import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest

from atelier.cli.main import main


@dataclass(frozen=True)
class Said:
    status: int
    out: str
    err: str


def environment_with(variables: dict[str, str]) -> dict[str, str]:
    """This environment, but with no `ATELIER_*` but the given ones; no model is taken over, which
    takes a minute."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("ATELIER_")}
    return {**inherited, "NO_COLOR": "1", "ATELIER_PACKAGED_MODELS": "false", **variables}


def atelier(*arguments: str | Path, **environment: str) -> Said:
    """Run a command to its end, in this process, which has loaded already what it takes."""
    out, err = StringIO(), StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["atelier", *map(str, arguments)])
        patch.setattr(os, "environ", environment_with(environment))
        with pytest.raises(SystemExit) as end:
            main()
    return Said(int(end.value.code or 0), out.getvalue(), err.getvalue())


def atelier_process(*arguments: str | Path, **environment: str) -> Said:
    """The same in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "atelier", *map(str, arguments)],
        env=environment_with(environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def refused(said: Said, status: int = 1) -> str:
    """The one clear line of a command that failed."""
    assert said.status == status, said
    (line,) = said.err.splitlines()
    assert line.startswith("atelier: ")
    return line.removeprefix("atelier: ")
