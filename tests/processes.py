"""Processes that tests start."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


@contextmanager
def running_process(command: Sequence[str], **options: Any) -> Iterator["subprocess.Popen[Any]"]:
    """A process that is killed and waited for however the test ends. One that a failed test left
    behind would fail a later test by a ResourceWarning."""
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        finally:
            process.kill()
