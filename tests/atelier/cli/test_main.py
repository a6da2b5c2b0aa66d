import subprocess
import sys
from importlib.metadata import version

import pytest

from tests.atelier.commands import atelier, atelier_process

HEAVY = ("torch", "numpy", "httpx", "redis", "uvicorn", "fastapi", "pydantic")


def test_it_says_what_it_can_do() -> None:
    said = atelier_process("--help")
    assert said.status == 0
    for command in ("up", "api", "worker", "generate", "models", "jobs", "job", "cancel"):
        assert command in said.out
    for command in ("train", "import", "inspect", "keys"):
        assert command in said.out


def test_it_starts_without_what_it_does_not_need_yet() -> None:
    code = f"import atelier.cli.main, sys; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_it_says_its_version() -> None:
    said = atelier("--version")
    assert (said.status, said.out) == (0, f"atelier {version('atelier-service')}\n")


def test_it_completes_in_a_shell() -> None:
    said = atelier(_ATELIER_COMPLETE="source_bash")
    assert said.status == 0, said.err
    assert "COMPREPLY" in said.out


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["up", "--port", "many"], ["generate", "image", "--n", "few"], ["inspect"]],
)
def test_wrong_usage_is_status_2(arguments: list[str]) -> None:
    said = atelier(*arguments)
    assert said.status == 2
    assert "Traceback" not in said.err
