"""The structure of the source: who imports whom, and that each name has one meaning."""

import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from distributions.staging import SHARED

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("app", "atelier", "models", "training", "workers")

# What the modules of a package may import, besides their own package.
ALLOWED = {
    "app": {
        "models.checkpoint.header",
        "models.families",
        "models.modalities",
        "models.music.midi",
        "models.params",
        "models.registry",
        "models.score",
    },
    "models": set(),
    "training": {"models"},
    "workers": {"app.core", "models"},
    "atelier": {"app", "models", "training", "workers"},
}
CONTRACT = {"models.engine", "models.artifacts"}
RQ = {"app.queue.jobs", "workers.worker"}
REPEATED = {"main", "routes", "request", "response", "answer", "__init__"}
"""Names that modules of different packages may share."""
ROOTS = {"app.services"}
"""Modules that build the others of their package, and that those name as a type."""


def modules() -> dict[str, Path]:
    paths = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return paths


MODULES = modules()
TREES = {name: ast.parse(path.read_text()) for name, path in MODULES.items()}


def imports(module: str) -> Iterator[str]:
    """What a module imports, at its top, in a function, or for a type checker."""
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            for name in node.names:
                whole = f"{source}.{name.name}"
                yield whole if whole in MODULES else source


def within(module: str, allowed: set[str]) -> bool:
    return any(module == a or module.startswith(f"{a}.") for a in allowed)


def own(module: str) -> Iterator[str]:
    """Those imports of a module that are of this project."""
    yield from (source for source in imports(module) if source.partition(".")[0] in PACKAGES)


def test_there_is_something_to_look_at() -> None:
    assert {"app.main", "models.engine.engine", "models.engine.flow"} <= set(MODULES)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_what_it_may(package: str) -> None:
    over = {
        (module, source)
        for module in MODULES
        if module.partition(".")[0] == package
        for source in own(module)
        if not within(source, {package} | ALLOWED[package])
    }
    assert not over


def test_the_client_needs_httpx_alone() -> None:
    """It is a distribution of its own."""
    for module in (m for m in MODULES if m == "atelier" or within(m, {"atelier.client"})):
        for source in imports(module):
            top = source.partition(".")[0]
            known = top == "httpx" or top in sys.stdlib_module_names
            shared = source.rpartition(".")[0] in SHARED or source in SHARED
            assert known or shared or within(source, {"atelier.client"}), (module, source)


def test_the_engine_knows_nothing_of_families_and_transports() -> None:
    for module in (m for m in MODULES if m.startswith("models.engine")):
        assert all(within(source, CONTRACT) for source in own(module)), module
        assert not {"redis", "rq", "fastapi", "httpx"} & {
            s.partition(".")[0] for s in imports(module)
        }


def test_rq_is_known_to_two_modules() -> None:
    assert {m for m in MODULES if "rq" in {s.partition(".")[0] for s in imports(m)}} == RQ


def test_nets_know_torch_alone() -> None:
    for module in (m for m in MODULES if m.startswith("models.nets")):
        for source in imports(module):
            top = source.partition(".")[0]
            known = top in {"torch", "open_clip"} or top in sys.stdlib_module_names
            assert known or within(source, {"models.nets"}), (module, source)


def test_no_module_imports_what_is_private_to_another() -> None:
    private = {
        (module, f"{node.module}.{name.name}")
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in PACKAGES
        for name in node.names
        if name.name.startswith("_")
    }
    assert not private


def cycle(graph: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_modules_import_each_other() -> None:
    assert not cycle({module: set(own(module)) - {module} for module in MODULES})


def test_no_packages_import_each_other() -> None:
    """Packages within a package count. A module beside them is a package of its own."""
    graph = defaultdict(set)
    for module in MODULES.keys() - ROOTS:
        for source in set(own(module)) - ROOTS:
            if package_of(module) != package_of(source):
                graph[package_of(module)].add(package_of(source))
    assert not cycle(graph)


def package_of(module: str) -> str:
    return ".".join(module.split(".")[:2])


@pytest.mark.parametrize("group", [PACKAGES[:1] + PACKAGES[2:], ("atelier",)])
def test_a_class_name_has_one_meaning(group: tuple[str, ...]) -> None:
    where = defaultdict(list)
    for module, tree in TREES.items():
        if module.partition(".")[0] in group:
            for node in tree.body:
                if isinstance(node, ast.ClassDef):
                    where[node.name].append(module)
    assert not {name: places for name, places in where.items() if len(places) > 1}


@pytest.mark.slow
def test_importing_the_api_leaves_torch_out() -> None:
    code = "import app.main, sys; raise SystemExit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)


@pytest.mark.slow
def test_diffusers_and_transformers_are_loaded_with_the_first_model_that_needs_them() -> None:
    """They take seconds to load, and who has no Stable Diffusion need not install them."""
    code = (
        "import models.convert.importers, models.diffusion.stable_diffusion, sys; "
        "import workers.model_cache; "
        "raise SystemExit(bool({'diffusers', 'transformers'} & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)
