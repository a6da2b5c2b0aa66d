"""Folders that setuptools builds: the files of one distribution, laid out as its wheel has them.

`stage_client` and `stage_service` write such a folder. `build` lets setuptools make a wheel or a
source distribution of it. Nothing is written into the repository.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Literal

from atelier import __all__ as PUBLIC
from distributions.relocation import PACKAGE, modules_of, new_name, relocate
from models.modalities import MODALITIES

ROOT = Path(__file__).resolve().parent.parent
CLIENT = ROOT / "distributions" / "client"
PACKAGES = ("app", "atelier", "models", "training", "workers")
DATA = (".lua", ".toml", ".typed", ".css", ".html", ".js", ".svg", ".txt", ".webmanifest")
STUBS = "atelier-stubs"  # as PEP 561 calls the types of `atelier`
CHECKPOINTS = (
    "composer",
    "ddpm-fashion",
    "parts/autoencoder-emoji",
    "parts/clip-emoji",
    "parts/guess-emoji",
    "parts/upscaler-emoji",
    "t2i-emoji",
    "vae-fashion",
    "video-diffusion-emoji",
    "wavenet-music",
)
"""What the service's wheel carries: the default model of each modality, their components, and
`vae-fashion`, which the quickstart uses. All would be more than the 100 MB that PyPI takes."""
BACKEND = """[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"
"""
SHIM = f'''"""`from atelier import Client`, where only the service is installed."""

import {PACKAGE}
from {PACKAGE} import __all__ as __all__


def __getattr__(name: str) -> object:
    return getattr({PACKAGE}, name)


if __name__ == "__main__":
    from {PACKAGE}.cli.main import main

    main()
'''
"""The module `atelier` of the service's wheel. Python prefers the client's package of this name."""

SHARED = {"app.core.text_assembly": "atelier.client.text_assembly"}
"""Modules of the service that the client needs too, and their names in the client's wheel."""

Stage = Callable[[Path], None]


def build(kind: Literal["wheel", "sdist"], stage: Stage, to: str) -> str:
    """Builds a distribution into the folder `to`, and returns its file's name."""
    from setuptools import build_meta

    with _staged(stage, to) as target:
        make = build_meta.build_wheel if kind == "wheel" else build_meta.build_sdist
        return str(make(target))


def prepare_metadata(stage: Stage, to: str) -> str:
    """Writes a wheel's metadata into the folder `to`, and returns their folder's name."""
    from setuptools import build_meta

    with _staged(stage, to) as target:
        return str(build_meta.prepare_metadata_for_build_wheel(target))


@contextmanager
def _staged(stage: Stage, to: str) -> Iterator[str]:
    target = str(Path(to).absolute())
    with tempfile.TemporaryDirectory() as folder:
        stage(Path(folder))
        with chdir(folder):
            yield target


def stage_client(to: Path) -> None:
    """Writes the client's files: `atelier` without its commands and its service."""
    source = ROOT / "atelier"
    for path in (source / "__init__.py", source / "py.typed", *source.glob("client/*.py")):
        copy(path, to / path.relative_to(ROOT))
    for module, name in SHARED.items():
        copy(ROOT / file_of(module), to / file_of(name))
    for path in to.rglob("*.py"):
        text = path.read_text("utf-8")
        for module, name in SHARED.items():
            text = text.replace(f"from {module} import", f"from {name} import")
        path.write_text(text, "utf-8")
    copy(ROOT / "LICENSE", to / "LICENSE")
    copy(CLIENT / "README.md", to / "README.md")
    project = project_of(CLIENT / "pyproject.toml")
    (to / "pyproject.toml").write_text(project + contents(["atelier", "atelier.client"]))


def stage_service(to: Path) -> None:
    """Writes all packages under one, the checkpoints, and what makes `import atelier` work."""
    stage_packages(to)
    for name in CHECKPOINTS:
        file = Path("checkpoints", f"{name}.safetensors")
        copy(ROOT / file, to / PACKAGE / file)
    for sample in samples():
        copy(sample, to / PACKAGE / sample.relative_to(ROOT))
    for name in ("LICENSE", "README.md"):
        copy(ROOT / name, to / name)
    folders = {path.parent.relative_to(to).parts for path in to.rglob("*.*")}
    packages = sorted(".".join(folder) for folder in folders if folder)
    project = project_of(ROOT / "pyproject.toml").replace('"atelier.', f'"{PACKAGE}.')
    (to / "pyproject.toml").write_text(project + contents(packages, ["atelier"]))


def samples() -> list[Path]:
    """Returns the samples of the models that the wheel carries, or that a package brings."""
    models = {Path(name).name for name in CHECKPOINTS}
    models |= {modality.default_model for modality in MODALITIES.values()}
    files = sorted((ROOT / "checkpoints" / "samples").iterdir())
    return [path for path in files if path.stem in models]


def stage_packages(to: Path) -> None:
    """Writes the service's packages under their new names, the module `atelier` and its types."""
    modules = modules_of(ROOT, PACKAGES)
    for path in (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*"))):
        target = to / relocated(path.relative_to(ROOT))
        if path.suffix == ".py":
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(relocate(path.read_text("utf-8"), modules), "utf-8")
        elif path.suffix in DATA:
            copy(path, target)
    (to / "atelier.py").write_text(SHIM)
    (to / STUBS).mkdir()
    (to / STUBS / "__init__.pyi").write_text(
        "".join(f"from {PACKAGE} import {name} as {name}\n" for name in PUBLIC)
    )
    (to / STUBS / "py.typed").write_text("partial\n")  # the client's package may have more


def relocated(path: Path) -> Path:
    """Returns where a file of the repository is in the wheel."""
    *folders, name = path.parts
    return Path(*new_name(".".join(folders)).split("."), name)


def file_of(module: str) -> Path:
    return Path(*module.split(".")).with_suffix(".py")


def copy(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)


def project_of(path: Path) -> str:
    """Returns a project's metadata, to be built by setuptools itself."""
    text = path.read_text("utf-8")
    return (
        BACKEND + "\n[project]" + text.partition("\n[project]")[2].partition("\n[tool.")[0] + "\n"
    )


def contents(packages: Sequence[str], modules: Sequence[str] = ()) -> str:
    """Returns setuptools' table of what a distribution contains."""
    data = [f"*{suffix}" for suffix in (*DATA, ".ogg", ".pyi", ".safetensors", ".webp")]
    return f"""
[tool.setuptools]
packages = {list(packages)}
py-modules = {list(modules)}
include-package-data = false

[tool.setuptools.package-data]
"*" = {data}
"""
