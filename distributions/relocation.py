"""The service's modules under other names: `app.main` becomes `atelier_service.app.main`.

The repository's top-level packages have common names, which other projects use too. So the wheel
has them as parts of one package, and this module rewrites each import of them, as pip's own
vendored packages have theirs rewritten. A string that is the name of a module changes as well:
`"app.main"` after `-m`, or `"models.image.vae:VAE"` in a table.
"""

import ast
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "atelier_service"
NAMED = re.compile(rb"[A-Za-z_]\w*(?:\.\w+)+")
FROM = re.compile(rb"from\s+([\w.]+)")
REFERENCE = re.compile(r"([A-Za-z_]\w*(?:\.\w+)+)(:\w+)?")


class RelocationError(ValueError):
    """A module names another in a form that can't be rewritten; the message says where."""


@dataclass(frozen=True)
class Edit:
    """A replacement in one line. `start` and `end` count bytes, as `ast` does."""

    line: int
    start: int
    end: int
    text: bytes


def new_name(module: str) -> str:
    """Returns the name that a module of the repository has in the wheel."""
    top, dot, rest = module.partition(".")
    return f"{PACKAGE}{dot}{rest}" if top == "atelier" else f"{PACKAGE}.{module}"


def modules_of(root: Path, packages: Collection[str]) -> dict[str, Path]:
    """Returns the files of all modules of these packages, by the modules' names."""
    paths = {}
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            names = path.relative_to(root).with_suffix("").parts
            paths[".".join(names[:-1] if names[-1] == "__init__" else names)] = path
    return paths


def relocate(source: str, modules: Collection[str]) -> str:
    """Returns a module's source with the new names of `modules` in it. Line numbers stay.

    Raises RelocationError for `import app.main` and for an f-string that begins with a module's
    name.
    """
    tops = {module.partition(".")[0] for module in modules}
    lines = source.encode().split(b"\n")
    tree = ast.parse(source)
    _refuse(tree, tops, modules)
    edits = [*_imports(tree, tops, lines), *_strings(tree, modules, lines)]
    for edit in sorted(edits, key=lambda edit: (edit.line, edit.start), reverse=True):
        line = lines[edit.line]
        lines[edit.line] = line[: edit.start] + edit.text + line[edit.end :]
    return b"\n".join(lines).decode()


def _refuse(tree: ast.Module, tops: Collection[str], modules: Collection[str]) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] in tops:
                    raise RelocationError(f"line {node.lineno}: use `from ... import`")
        elif isinstance(node, ast.JoinedStr) and node.values:
            first = node.values[0]
            if isinstance(first, ast.Constant) and (match := REFERENCE.match(str(first.value))):
                name = ".".join(match[1].split(".")[:2])
                if name in modules:
                    raise RelocationError(f"line {node.lineno}: an f-string names {name}")


def _imports(tree: ast.Module, tops: Collection[str], lines: list[bytes]) -> Iterator[Edit]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level:
            module = node.module or ""
            if module.partition(".")[0] in tops:
                match = FROM.match(lines[node.lineno - 1], node.col_offset)
                if match is None or match[1].decode() != module:
                    raise RelocationError(f"line {node.lineno}: an import that continues")
                yield Edit(node.lineno - 1, *match.span(1), new_name(module).encode())


def _strings(tree: ast.Module, modules: Collection[str], lines: list[bytes]) -> Iterator[Edit]:
    for node, text in _plain_strings(tree):
        match = REFERENCE.fullmatch(text)
        if match is None or match[1] not in modules:
            continue
        name = NAMED.search(lines[node.lineno - 1], node.col_offset)
        if name is None or name[0].decode() != match[1]:
            raise RelocationError(f"line {node.lineno}: a string that continues")
        yield Edit(node.lineno - 1, *name.span(), new_name(match[1]).encode())


def _plain_strings(node: ast.AST) -> Iterator[tuple[ast.Constant, str]]:
    """Yields the strings of a tree. Those inside f-strings have no exact place in Python 3.11."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Constant) and isinstance(child.value, str):
            yield child, child.value
        elif not isinstance(child, ast.JoinedStr):
            yield from _plain_strings(child)
