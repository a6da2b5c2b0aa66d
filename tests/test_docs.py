"""The documentation holds together: links resolve, commands parse, settings and sentences are so.

`tests/e2e/test_docs.py` runs the code blocks that need a service.
"""

import importlib.util
import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from app.core.settings import Settings
from atelier.cli.main import app
from tests.docs import PAGES, ROOT, blocks_of, name_of

LANGUAGES = {"sh", "python", "json", "toml", "text", "mermaid", "nginx"}
NOTES = {"", "norun"}
FILES = {".gguf", ".json", ".pt", ".pth", ".safetensors", ".toml"}
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
NAMED = re.compile(r"`((?:app|atelier|bench|docs|models|tests|training|workers)/[\w./-]+)`")
CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

pages = pytest.mark.parametrize("page", PAGES, ids=name_of)


@pages
def test_every_code_block_is_of_a_kind_that_a_test_checks(page: Path) -> None:
    for block in blocks_of(page):
        assert block.language in LANGUAGES, block
        assert block.note in NOTES or block.note.startswith("file="), block
    assert page.read_text().count("```") == 2 * len(blocks_of(page))


@pages
def test_links_resolve(page: Path) -> None:
    for link in LINK.findall(CODE.sub("", page.read_text("utf-8"))):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors_of(target), link


@pages
def test_files_that_it_names_exist(page: Path) -> None:
    for path in NAMED.findall(CODE.sub("", page.read_text("utf-8"))):
        assert (ROOT / path).exists(), path


def anchors_of(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", CODE.sub("", page.read_text("utf-8")), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def test_every_page_is_listed() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / link.partition("#")[0]).resolve() for link in links_of(index)}
    decisions = ROOT / "docs" / "decisions"
    listed = {decisions / link for link in links_of(decisions / "README.md")}
    docs = {page for page in PAGES if page.is_relative_to(index.parent)}
    assert docs - {index} <= linked | listed


def links_of(page: Path) -> list[str]:
    return LINK.findall(page.read_text("utf-8"))


@pages
def test_commands_that_are_not_run_can_be_parsed(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for block in blocks_of(page):
        if block.language == "sh" and block.note == "norun":
            for line in block.text.replace("\\\n", " ").splitlines():
                check_command(shlex.split(line, comments=True))


def check_command(command: list[str]) -> None:
    """Checks a command line as far as that goes without running it."""
    command = command[1:] if command[:1] == ["export"] else command
    while command and re.match(r"[A-Z_]+=", command[0]):
        check_variable(command.pop(0).partition("=")[0])
    match command:
        case []:
            return
        case ["make", target, *_]:
            assert target in TARGETS
        case [".venv/bin/atelier" | "atelier", *arguments]:
            parse(arguments)
        case ["python" | ".venv/bin/python", "-m", module, *_]:
            assert importlib.util.find_spec(module), module
        case [".venv/bin/pip" | "pip" | "pipx", "install", *packages] | [
            "uv",
            "tool",
            "install",
            *packages,
        ]:
            for extra in re.findall(r"\[([a-z,]+)\]", " ".join(packages)):
                assert set(extra.split(",")) <= EXTRAS.keys()
        case _:
            assert command[0] in ("apt-get", "docker", "git"), command


def check_variable(name: str) -> None:
    own = name.removeprefix("ATELIER_").lower()
    assert name.startswith("AWS_") or own in {*Settings.model_fields, "cache", "url"}, name


def parse(arguments: list[str]) -> None:
    """Parses a command line as `atelier` does, in a folder that has whatever it names."""
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands") and arguments[0] in command.commands:
        command, arguments = command.commands[arguments[0]], arguments[1:]
    for argument in arguments:
        path = Path(argument)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch() if path.suffix in FILES else path.mkdir(exist_ok=True)
    command.make_context("atelier", arguments)


@pages
def test_json_blocks_are_json(page: Path) -> None:
    for block in blocks_of(page):
        if block.language == "json":
            json.loads(block.text)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented_as_it_is(name: str) -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    description = Settings.model_fields[name].description
    assert description
    assert re.search(rf"\| `ATELIER_{name.upper()}` \| .+ \| {re.escape(description)} \|", page)
