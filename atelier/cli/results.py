"""The files that commands save, their names, and what is printed of a job."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from atelier.cli.output import fail, show_json
from atelier.cli.terminal.progress import cancel_on_interrupt, follow
from models.modalities import MODALITIES

if TYPE_CHECKING:
    from atelier.client.jobs import Job, Output

SUFFIXES = {
    "audio/mpeg": ".mp3",
    "audio/midi": ".mid",
    "text/plain; charset=utf-8": ".txt",
    "text/markdown; charset=utf-8": ".md",
    "application/x-npy": ".npy",
}
"""Endings that differ from what a content type calls the format."""
ENDINGS = {"jpeg": (".jpg", ".jpeg"), "midi": (".mid",)}
"""Endings of output formats, if they are not the format's name."""
SECONDARY = ("sheet", "poster", "logprobs")
"""Roles of outputs that accompany the main one. The names of their files include the role."""


def save_outputs(job: "Job", folder: Path, keep: bool, file: Path | None = None) -> list[str]:
    """Waits for a job, saves its outputs and returns their paths.

    If a file is named, it is the first output that is not secondary; others are saved beside it.
    """
    with cancel_on_interrupt(job, keep):
        follow(job)
        job.wait()
    if file is None:
        return [str(save_output(output, folder, job.model)) for output in job.outputs]
    file.parent.mkdir(parents=True, exist_ok=True)
    first, *others = [x for x in job.outputs if x.role not in SECONDARY] or job.outputs
    saved = [first.save(file)]
    saved += [x.save(unused_path(file.with_suffix(suffix_of(x)))) for x in others]
    return [str(path) for path in saved]


def save_output(output: "Output", folder: Path, model: str) -> Path:
    """Saves an output as MODEL-SEED. Another file of that name is kept."""
    role = f"-{output.role}" if output.role in SECONDARY else ""
    folder.mkdir(parents=True, exist_ok=True)
    return output.save(unused_path(folder / f"{model}-{output.seed}{role}{suffix_of(output)}"))


def unused_path(path: Path) -> Path:
    """Returns the path, with a number if another file has it."""
    free, count = path, 1
    while free.exists():
        count += 1
        free = path.with_name(f"{path.stem}-{count}{path.suffix}")
    return free


def suffix_of(output: "Output") -> str:
    return SUFFIXES.get(output.content_type, "." + output.content_type.rpartition("/")[2])


def print_results(job: "Job", lines: list[str], as_json: bool) -> None:
    """Prints the lines, or the job as JSON, and the notes of its outputs to standard error."""
    if as_json:
        show_json(job.data)
        return
    print(*lines, sep="\n")
    for note in dict.fromkeys(note for output in job.outputs for note in output.notes):
        print(f"atelier: {note}", file=sys.stderr)


def formats_of(modality: str) -> dict[str, str]:
    """Returns the output formats of a modality by the endings of files."""
    if (row := MODALITIES.get(modality)) is None:
        return {}
    formats = row.formats + (("midi",) if "score" in row.roles else ())
    return {suffix: name for name in formats for suffix in ENDINGS.get(name, (f".{name}",))}


def format_by_name(modality: str, file: Path, output_format: str | None, n: int) -> str:
    """Returns the output format that the name of a file asks for."""
    formats = formats_of(modality)
    if n != 1:
        raise fail("-o names one file: more go to a folder, --out", 2)
    suffix = file.suffix.lower()
    by_name = formats.get(suffix) if formats else suffix.removeprefix(".")
    if not by_name:
        raise fail(f"-o must end in {', '.join(formats)}, not {file.suffix or file}", 2)
    if output_format not in (None, by_name):
        raise fail(f"{file} is not to be {output_format}", 2)
    return by_name
