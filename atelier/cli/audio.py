"""`atelier generate audio` and `listen`: music, as a file or as it is made."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atelier.cli.jobs import (
    ApiKey,
    AsJson,
    Keep,
    Url,
    client,
    format_of,
    made,
    merged,
    submitted,
    suffix_of,
    tell,
    unused,
)
from atelier.cli.output import fail
from atelier.cli.progress import cancel_on_interrupt, follow

if TYPE_CHECKING:
    from atelier.client.jobs import Job

FORMATS = {".wav": "wav", ".flac": "flac", ".mp3": "mp3", ".ogg": "ogg", ".mid": "midi"}


def audio(
    model: Annotated[str | None, typer.Option(help="Model; see `atelier models`.")] = None,
    style: Annotated[str | None, typer.Option(help="The kind of music: name or number.")] = None,
    seconds: Annotated[float | None, typer.Option(help="How long: up to 60.")] = None,
    score: Annotated[
        Path | None, typer.Option(help="Play this MIDI file.", exists=True, dir_okay=False)
    ] = None,
    tempo: Annotated[float | None, typer.Option(help="Quarter notes a minute.")] = None,
    key: Annotated[str | None, typer.Option(help='Such as "F# minor".')] = None,
    n: Annotated[int, typer.Option("--n", "-n", help="How many.")] = 1,
    seed: Annotated[int | None, typer.Option(help="A seed repeats its piece.")] = None,
    param: Annotated[list[str] | None, typer.Option(help="key=value, as often as needed.")] = None,
    output_format: Annotated[
        str | None, typer.Option(help="wav, flac, mp3, ogg; midi of a composer.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("-o", help="The file to make: its ending says the format.")
    ] = None,
    to: Annotated[Path, typer.Option("--out", help="Folder for the files.")] = Path(),
    detach: Annotated[bool, typer.Option(help="Print the job's id and don't wait.")] = False,
    keep: Keep = False,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Make music and save it as MODEL-SEED.wav, or as the file that -o names.

    What was composed is saved beside it, as MIDI. A style that was drawn is told.
    """
    if file is not None:
        output_format = format_of(file, FORMATS, output_format, n)
    common = {"model": model, "n": n, "seed": seed, "output_format": output_format}
    own = {
        "style": style,
        "seconds": seconds,
        "score": None if score is None else str(score),  # until it is posted
        "tempo": tempo,
        "key": key,
    }
    body = merged(common | own, common, param or [])
    with client(url, api_key) as service:
        job = submitted(service, "audio", body, {"score": score})
        if detach:
            saved = [job.id]
        else:
            saved = made(job, to, keep) if file is None else made_as(job, file, keep)
        tell(job, saved, as_json)


def made_as(job: "Job", file: Path, keep: bool) -> list[str]:
    """Wait for a job and save what was asked for under this name, and a score that was composed
    beside it, where it takes no other file's place; the paths."""
    with cancel_on_interrupt(job, keep):
        follow(job)
        job.wait()
    file.parent.mkdir(parents=True, exist_ok=True)
    first, *more = job.outputs
    saved = [first.save(file)]
    saved += [x.save(unused(file.with_suffix(suffix_of(x)))) for x in more]
    return [str(path) for path in saved]


def listen(
    job_id: Annotated[str, typer.Argument(metavar="JOB")],
    index: Annotated[int, typer.Option(help="Which of its items.")] = 0,
    file: Annotated[
        Path | None, typer.Option("-o", help="A WAV file that grows; else to standard output.")
    ] = None,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """A job's sound as it is made: `atelier listen JOB | aplay`, or into a file."""
    with client(url, api_key) as service:
        job = service.job(job_id)
        if file is not None:
            print(job.listen(file, index))
            return
        if sys.stdout.isatty():
            raise fail("sound is not for terminals: pipe it to a player, or name a file with -o", 2)
        for piece in job.stream(index):
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
