"""`atelier models`, `jobs`, `job`, `listen` and `cancel`: what a running service has and does."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from atelier.cli.options import ApiKey, AsJson, OutFolder, Url, client
from atelier.cli.output import fail, show_json, show_rows
from atelier.cli.results import print_results, save_outputs

JobId = Annotated[str, typer.Argument(metavar="JOB")]


def models(
    model: Annotated[str | None, typer.Argument(help="One model's whole card.")] = None,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """List the models, or show one."""
    with client(url, api_key) as service:
        if model is not None:
            show_json(service.model(model))
            return
        cards = service.models()
    if as_json:
        show_json(cards)
        return
    rows: list[tuple[str, ...]] = [("MODEL", "MAKES", "FAMILY", "STATE", "SIZE", "TITLE")]
    for card in cards:
        size = f"{card['bytes'] / 2**20:.1f} MB"
        state = card["state"]
        if card.get("progress") is not None:
            state += f" {card['progress']:.0%}"
        rows += [(card["id"], card["modality"], card["family"], state, size, card["title"])]
    show_rows(rows)


jobs = typer.Typer(help="List your jobs, newest first; or save the files of one.")


@jobs.callback(invoke_without_command=True)
def list_jobs(
    context: typer.Context,
    status: Annotated[str | None, typer.Option(help="Only those of this status.")] = None,
    type_: Annotated[str | None, typer.Option("--type", help="Only those that make this.")] = None,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1)] = 20,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """List your jobs, newest first; or save the files of one: `atelier jobs fetch JOB`."""
    if context.invoked_subcommand is not None:
        return
    with client(url, api_key) as service:
        listed = list(service.jobs(status=status, type=type_, limit=limit))
    if as_json:
        show_json([job.data for job in listed])
        return
    rows: list[tuple[str, ...]] = [("JOB", "STATUS", "DONE", "MODEL", "SEED")]
    for job in listed:
        rows += [(job.id, job.status, f"{job.progress.value:.0%}", job.model, str(job.seed))]
    show_rows(rows)


@jobs.command()
def fetch(
    job_id: JobId,
    to: OutFolder = Path(),
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Wait for a job if it still runs, and save its files. Ctrl-C leaves the job running."""
    with client(url, api_key) as service:
        job = service.job(job_id)
        print_results(job, save_outputs(job, to, keep=True), as_json)


def job(job_id: JobId, url: Url = None, api_key: ApiKey = None) -> None:
    """Show a job."""
    with client(url, api_key) as service:
        show_json(service.job(job_id).data)


def cancel(job_id: JobId, url: Url = None, api_key: ApiKey = None) -> None:
    """Cancel a job, and print its status."""
    with client(url, api_key) as service:
        print(service.job(job_id).cancel().status)


def listen(
    job_id: JobId,
    index: Annotated[int, typer.Option(help="Which of its items.")] = 0,
    file: Annotated[
        Path | None, typer.Option("-o", help="A WAV file that grows; else to standard output.")
    ] = None,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Write a job's audio while it is made: `atelier listen JOB | aplay`, or into a file."""
    with client(url, api_key) as service:
        job = service.job(job_id)
        if file is not None:
            print(job.listen(file, index))
            return
        if sys.stdout.isatty():
            raise fail("sound is not for terminals: pipe it to a player, or name a file with -o", 2)
        for chunk in job.stream(index):
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
