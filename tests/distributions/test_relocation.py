"""The service's modules under the names that they have in its wheel."""

import ast
import re
from pathlib import Path

import pytest

from distributions.relocation import RelocationError, modules_of, new_name, relocate
from distributions.staging import PACKAGES, ROOT, relocated, stage_packages

MODULES = modules_of(ROOT, PACKAGES)

SOURCE = '''"""Runs app.main."""
from app.core.settings import (
    Settings,
)
from atelier import Client
from apparatus import app

def é(): from models.image.vae import VAE; return "app.main", "models.image.vae:VAE", "app.mainly"
log = getLogger("app"), f"{app} models.image.vae", "über " "app.main"
'''
RESULT = '''"""Runs app.main."""
from atelier_service.app.core.settings import (
    Settings,
)
from atelier_service import Client
from apparatus import app

def é(): from atelier_service.models.image.vae import VAE; return "atelier_service.app.main", \
"atelier_service.models.image.vae:VAE", "app.mainly"
log = getLogger("app"), f"{app} models.image.vae", "über " "app.main"
'''


def test_imports_and_names_of_modules_change() -> None:
    assert relocate(SOURCE, MODULES) == RESULT


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import app.main", "line 1: use `from ... import`"),
        ("import json, models as nets", "line 1: use `from ... import`"),
        ('x = 1\ny = f"training.recipes.{x}"', "line 2: an f-string names training.recipes"),
        ("from \\\n app.main import app", "line 1: an import that continues"),
        ('x = "app" ".main"', "line 1: a string that continues"),
    ],
)
def test_what_it_can_not_rewrite_is_an_error(source: str, message: str) -> None:
    with pytest.raises(RelocationError, match=re.escape(message)):
        relocate(source, MODULES)


def test_files_move_with_their_modules() -> None:
    assert new_name("atelier.cli.main") == "atelier_service.cli.main"
    assert relocated(Path("workers/lua/tick.lua")) == Path("atelier_service/workers/lua/tick.lua")
    assert relocated(Path("atelier/__init__.py")) == Path("atelier_service/__init__.py")


def test_nothing_of_the_service_has_an_old_name(tmp_path: Path) -> None:
    stage_packages(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("atelier.py", "atelier-stubs", "atelier_service")
    }
    modules = modules_of(tmp_path, ["atelier_service"])
    assert len(modules) == len(MODULES)
    for path in modules.values():
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.ImportFrom(module=str(source), level=0):
                    top, _, rest = source.partition(".")
                    assert top not in PACKAGES, (path, source)
                    assert top != "atelier_service" or not rest or source in modules, (path, source)
                case ast.Import(names=names):
                    assert not {name.name.partition(".")[0] for name in names} & {*PACKAGES}, path
                case ast.Constant(value=str(text)):
                    assert text.partition(":")[0] not in MODULES.keys() - {*PACKAGES}, (path, text)
    data = {path.suffix for path in (tmp_path / "atelier_service").rglob("*.*")}
    page = {".css", ".html", ".js", ".svg", ".txt", ".webmanifest"}
    assert data == {".py", ".lua", ".toml", ".typed"} | page
