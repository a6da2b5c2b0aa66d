"""`atelier generate`, `models`, `jobs`, `job` and `cancel`: asking a running service."""

import json
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from atelier.cli_service import fail

P = ParamSpec("P")
T = TypeVar("T")

generate = typer.Typer(help="Have something made.", no_args_is_help=True)
out = Console()

Url = Annotated[str | None, typer.Option(help="Where the service is.", envvar="ATELIER_URL")]
ApiKey = Annotated[
    str | None, typer.Option(help="Your key, if it wants one.", envvar="ATELIER_API_KEY")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]


def client(url: str | None, api_key: str | None) -> Any:
    from atelier.client import Client

    return Client(base_url=url, api_key=api_key)


def told(command: Callable[P, T]) -> Callable[P, T]:
    """Errors of the service are one clear line, never a traceback."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        from atelier.errors import AtelierError

        try:
            return command(*args, **kwargs)
        except AtelierError as error:
            raise fail(str(error)) from None

    return run


def parsed(pairs: list[str]) -> dict[str, Any]:
    """`key=value` options; a value is JSON where it reads as JSON, else text."""
    params: dict[str, Any] = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign or not key:
            raise fail(f"--param wants key=value, not {pair!r}", 2)
        try:
            params[key] = json.loads(value)
        except ValueError:
            params[key] = value
    return params


@generate.command()
@told
def image(
    model: Annotated[str | None, typer.Option(help="Model; see `atelier models`.")] = None,
    n: Annotated[int, typer.Option("--n", "-n", help="How many.")] = 1,
    seed: Annotated[int | None, typer.Option(help="A seed repeats its picture.")] = None,
    param: Annotated[list[str] | None, typer.Option(help="key=value, as often as needed.")] = None,
    output_format: Annotated[str | None, typer.Option(help="png or webp.")] = None,
    to: Annotated[Path, typer.Option("--out", help="Folder for the files.")] = Path(),
    detach: Annotated[bool, typer.Option(help="Print the job's id and don't wait.")] = False,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Make pictures and save them as MODEL-SEED.png."""
    asked = {"seed": seed, "output_format": output_format}
    given = {k: v for k, v in asked.items() if v is not None}
    if model is not None:
        given["model"] = model
    with client(url, api_key) as service:
        job = service.image(n=n, **given, **parsed(param or []))
        if detach:
            print(json.dumps(job.data, indent=2) if as_json else job.id)
            return
        follow(job)
        job.wait()
        paths = [save(output, to, job.data["model"]) for output in job.outputs]
        print(json.dumps(job.data, indent=2) if as_json else "\n".join(map(str, paths)))


def follow(job: Any) -> None:
    """A bar that moves as the job's events come in, on a terminal's standard error."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("queued", total=1.0)
        for event in job.events():
            status = event.data.get("status", "in_progress")
            value = event.data.get("value")
            bar.update(task, description=status, completed=value)


def save(output: Any, folder: Path, model: str) -> Path:
    """Save under a name that says what made it; another file of that name is kept."""
    suffix = "." + output.content_type.rpartition("/")[2]
    name, count = f"{model}-{output.seed}", 1
    path = folder / f"{name}{suffix}"
    while path.exists():
        count += 1
        path = folder / f"{name}-{count}{suffix}"
    folder.mkdir(parents=True, exist_ok=True)
    saved: Path = output.save(path)
    return saved


@told
def models(
    model: Annotated[str | None, typer.Argument(help="One model's whole card.")] = None,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """What can be asked for."""
    with client(url, api_key) as service:
        if model is not None:
            out.print_json(json.dumps(service.model(model)))
            return
        cards = service.models()
    if as_json:
        out.print_json(json.dumps(cards))
        return
    table = Table("model", "makes", "family", "state", "bytes", "title")
    for card in cards:
        size = f"{card['bytes'] / 2**20:.1f} MB"
        row = (card["id"], card["modality"], card["family"], card["state"], size, card["title"])
        table.add_row(*row)
    out.print(table)


@told
def jobs(
    status: Annotated[str | None, typer.Option(help="Only those of this status.")] = None,
    limit: Annotated[int, typer.Option(help="How many at most.")] = 20,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Your jobs, newest first."""
    table = Table("job", "model", "status", "progress", "seed")
    with client(url, api_key) as service:
        for job in service.jobs(status=status, limit=limit):
            done = f"{100 * job.data['progress']['value']:.0f} %"
            table.add_row(job.id, job.data["model"], job.status, done, str(job.seed))
    out.print(table)


@told
def job(
    job_id: Annotated[str, typer.Argument(metavar="JOB")], url: Url = None, api_key: ApiKey = None
) -> None:
    """One job, whole."""
    with client(url, api_key) as service:
        out.print_json(json.dumps(service.job(job_id).data))


@told
def cancel(
    job_id: Annotated[str, typer.Argument(metavar="JOB")], url: Url = None, api_key: ApiKey = None
) -> None:
    """Ask for a job's end."""
    with client(url, api_key) as service:
        found = service.job(job_id)
        found.cancel()
        print(found.status, file=sys.stdout)
