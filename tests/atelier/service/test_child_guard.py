"""The embedded server never outlives its guard, even one that dies as it starts the server."""

import subprocess
import sys
from functools import partial

import pytest

from atelier.service.child_guard import die_with_parent


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a parent-death signal")
def test_a_program_whose_guard_died_before_the_request_ends_at_once() -> None:
    guard = subprocess.Popen(["true"])
    guard.wait()
    program = subprocess.Popen(["sleep", "60"], preexec_fn=partial(die_with_parent, guard.pid))  # noqa: PLW1509
    try:
        assert program.wait(20) == 1
    finally:
        program.kill()
        program.wait()
