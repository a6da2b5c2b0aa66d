"""Who may import whom: the rules of docs/architecture.md, read off the source."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HOUSE = ("app", "atelier", "models", "training", "workers")

# what the modules of a package may import of the house, besides their own package
MAY = {
    "app": {
        "models.params.audio",
        "models.params.conflicts",
        "models.families",
        "models.params.fields",
        "models.checkpoint.header",
        "models.music.midi",
        "models.params.base",
        "models.params.diffusion",
        "models.score",
        "models.registry",
        "models.params.text",
    },
    "models": set(),
    "training": {"models"},
    "workers": {
        "models",
        "app.core.errors",
        "app.queue.event_log",
        "app.core.imports",
        "app.core.parent_watch",
        "app.core.log",
        "app.core.image_reader",
        "app.core.job_record",
        "app.core.schemas",
        "app.core.scripts",
        "app.core.settings",
        "app.core.store",
        "app.core.thread_pool",
        "app.core.wav",
    },
    "atelier": {"app", "models", "training", "workers"},
}
ENGINE = {
    *("models.artifacts", "models.engine.batching", "models.engine.flow"),
    *("models.engine.activity", "models.engine.scheduler"),
}
RQ = {"app.queue.jobs", "workers.worker", "workers.main"}


def modules() -> dict[str, Path]:
    found = {}
    for package in HOUSE:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(path: Path) -> Iterator[str]:
    """What a module imports, at its top or in a function; not what only a type checker reads."""
    tree = ast.parse(path.read_text())
    unread = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in unread:
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            for name in node.names:
                whole = f"{source}.{name.name}"
                yield whole if whole in MODULES else source


def within(module: str, allowed: set[str]) -> bool:
    return any(module == a or module.startswith(f"{a}.") for a in allowed)


def test_there_is_something_to_look_at() -> None:
    assert {"app.main", "models.engine.engine", "models.engine.flow"} <= set(MODULES)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_imports_only_what_its_package_may(module: str) -> None:
    package = module.partition(".")[0]
    for source in imports(MODULES[module]):
        if source.partition(".")[0] in HOUSE:
            assert within(source, {package} | MAY[package]), source


@pytest.mark.parametrize("module", sorted(MODULES))
def test_rq_is_known_to_three_modules(module: str) -> None:
    known = any(source.partition(".")[0] == "rq" for source in imports(MODULES[module]))
    assert not known or module in RQ


@pytest.mark.parametrize("module", sorted(m for m in MODULES if m.startswith("models.nets")))
def test_nets_know_torch_alone(module: str) -> None:
    for source in imports(MODULES[module]):
        top = source.partition(".")[0]
        known = top in {"torch", "open_clip"} or top in sys.stdlib_module_names
        assert known or within(source, {"models.nets"})


def test_the_engine_knows_flows_and_no_more() -> None:
    for source in imports(MODULES["models.engine.engine"]):
        if source.partition(".")[0] in HOUSE:
            assert within(source, ENGINE), source
        assert source.partition(".")[0] not in {"redis", "rq", "fastapi", "httpx"}


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
