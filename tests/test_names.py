"""The old names of modules, classes, functions and variables don't come back."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("app", "atelier", "bench", "distributions", "models", "tests", "training", "workers")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TREES = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in FILES}
PAGES = {
    path.name: path.read_text()
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"))
    if path.name != "CHANGELOG.md"  # it tells what was renamed
}

MODULES = """
adversarial attendance autoencoding average beginning bodies calls canvas causal_net classifying
cli_say cli_words composing contrasting cores denoising desk diffusing documented doorbell drafts
drawing endings filming fitting floor following guessing hearing host judging keeper lanes
language_nets lead leader leading led lens lifeline listening matching mixing moving musical pages
painting parcel piece pieces problems proof rates reading replies resuming rolls screening shelf
sitting slot_cache stopping submission team telling together token_draws token_kernel trial tries
upkeep upscaling variational waiting wake watching writing
"""
CLASSES = """
Author Batched Bell Desk Draft Ear Easel Ended Ending Heard Housekeeper Knobs Levels Look Made Page
Parcel Pen Place Process Proof Pulse Room Schedule Seat Shelf Sounding Story Team Told Voice Wake
Wish Word Written
"""
FUNCTIONS = "abreast desert furnish meet prove strike together"
VARIABLES = "desk doorbell ear easel parcel pen seat shelf wish"
VAGUE = "told made given found place held part words"  # they say nothing of what they name
ON_DISK = {  # names of settings and tensors in checkpoints, by file
    "models/checkpoint/configs.py": {"words"},
    "models/nets/composer.py": {"told"},
    "models/nets/unet.py": {"told", "words"},
    "tests/models/tiny_language.py": {"words"},
}
FIELDS = ("read_tokens", "written_tokens", "caption right", "among five", "atelier lead")


def names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every name that a module gives: to variables, arguments and attributes, by line."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.Attribute(attr=name):
                yield name, node.lineno
            case ast.alias(asname=str(name)):
                yield name, node.lineno


def bound(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every variable, argument, attribute, function and pattern that a module binds, by line."""
    for node in ast.walk(tree):
        match node:
            case (
                ast.Name(id=name, ctx=ast.Store())
                | ast.arg(arg=name)
                | ast.Attribute(attr=name, ctx=ast.Store())
                | ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.MatchAs(name=str(name))
                | ast.MatchStar(name=str(name))
            ):
                yield name, node.lineno


def definitions(kind: type[ast.AST] | tuple[type[ast.AST], ...]) -> Iterator[tuple[str, str]]:
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, kind):
                yield getattr(node, "name"), f"{path}:{getattr(node, 'lineno')}"  # noqa: B009


def test_no_module_has_an_old_name() -> None:
    stems = {path: Path(path).stem.removeprefix("test_") for path in TREES}
    assert not {path for path, stem in stems.items() if stem in MODULES.split()}


def test_no_class_has_an_old_name() -> None:
    assert not {location for name, location in definitions(ast.ClassDef) if name in CLASSES.split()}


def test_no_function_has_an_old_name() -> None:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    assert not {location for name, location in definitions(kinds) if name in FUNCTIONS.split()}


@pytest.mark.parametrize("old", VARIABLES.split())
def test_no_variable_has_an_old_name(old: str) -> None:
    assert not [
        f"{path}:{line}"
        for path, tree in TREES.items()
        for name, line in names(tree)
        if name == old
    ]


def test_no_name_is_a_vague_word() -> None:
    vague = {*VAGUE.split()}
    assert not [
        f"{path}:{line}: {name}"
        for path, tree in TREES.items()
        for name, line in bound(tree)
        if name.removeprefix("_") in vague - ON_DISK.get(path, set())
    ]


def test_each_exception_is_in_use() -> None:
    for path, exceptions in ON_DISK.items():
        assert exceptions == {name for name, _ in bound(TREES[path])} & {*VAGUE.split()}, path


def test_no_page_has_an_old_name() -> None:
    code = {
        (page, word)
        for page, text in PAGES.items()
        for span in re.findall(r"`([^`\n]+)`", text)
        for word in re.findall(r"\w+", span)
        if word in CLASSES.split()
    }
    fields = {(page, f) for page, text in PAGES.items() for f in FIELDS if f in text}
    assert not code | fields
