"""Starting the API as a process: what it refuses, and what it leaves out."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.core.settings import Settings
from app.main import exposure


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **environment}
    return subprocess.run(
        [sys.executable, *arguments],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_torch_is_left_out() -> None:
    done = run("-c", "import app.main, sys; raise SystemExit('torch' in sys.modules)")
    assert (done.returncode, done.stderr) == (0, "")


def test_others_cant_reach_it_without_keys(tmp_path: Path) -> None:
    done = run("-m", "app.main", ATELIER_HOST="0.0.0.0", ATELIER_STATE=str(tmp_path))
    assert done.returncode == 78
    assert done.stderr.count("\n") == 1
    assert "ATELIER_KEYS_FILE" in done.stderr


def test_a_bad_setting_is_named() -> None:
    done = run("-m", "app.main", ATELIER_PORT="many")
    assert done.returncode == 78
    assert done.stderr.startswith("atelier: ATELIER_PORT: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_keys(host: str) -> None:
    assert exposure(Settings(host=host)) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.0.0.1", "example.org"])
def test_another_address_needs_keys(host: str, tmp_path: Path) -> None:
    assert exposure(Settings(host=host)) is not None
    file = tmp_path / "keys"
    assert exposure(Settings(host=host, keys_file=file)) is not None
    file.write_text("nothing of use\n")
    assert exposure(Settings(host=host, keys_file=file)) is not None
    file.write_text(f"ann {hashlib.sha256(b'key').hexdigest()}\n")
    assert exposure(Settings(host=host, keys_file=file)) is None
