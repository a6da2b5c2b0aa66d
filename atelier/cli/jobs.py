"""`atelier generate`, `models`, `jobs`, `job` and `cancel`: commands that ask a running service."""

import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atelier.cli.output import as_value, fail, show_json, show_rows
from atelier.cli.progress import cancel_on_interrupt, follow

if TYPE_CHECKING:
    from atelier.client.client import Client
    from atelier.client.jobs import Job, Output

SUFFIXES = {
    "audio/mpeg": ".mp3",
    "audio/midi": ".mid",
    "text/plain; charset=utf-8": ".txt",
    "text/markdown; charset=utf-8": ".md",
}
BESIDE = ("sheet", "poster", "logprobs")
"""What lies beside the file that was asked for, and says so in its name."""
"""Endings that differ from what a content type calls the format."""
generate = typer.Typer(help="Have something made.", no_args_is_help=True)

Url = Annotated[str | None, typer.Option(help="Where the service is.", envvar="ATELIER_URL")]
ApiKey = Annotated[
    str | None, typer.Option(help="Your key, if it wants one.", envvar="ATELIER_API_KEY")
]
Keep = Annotated[
    bool, typer.Option("--keep", help="On Ctrl-C, leave the job running instead of canceling it.")
]
Out = Annotated[Path, typer.Option("--out", help="Folder for the files.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]


def client(url: str | None, api_key: str | None) -> "Client":
    from atelier.client.client import Client

    return Client(base_url=url, api_key=api_key)


def parsed(pairs: list[str]) -> dict[str, Any]:
    """`key=value` options."""
    params: dict[str, Any] = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign or not key:
            raise fail(f"--param wants key=value, not {pair!r}", 2)
        params[key] = as_value(value)
    return params


@generate.command()
def image(
    model: Annotated[str | None, typer.Option(help="Model; see `atelier models`.")] = None,
    n: Annotated[int, typer.Option("--n", "-n", help="How many.")] = 1,
    seed: Annotated[int | None, typer.Option(help="A seed repeats its picture.")] = None,
    param: Annotated[list[str] | None, typer.Option(help="key=value, as often as needed.")] = None,
    output_format: Annotated[str | None, typer.Option(help="png, webp or jpeg.")] = None,
    class_label: Annotated[str | None, typer.Option(help="What to draw: name or number.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of a diffusion model.")] = None,
    sampler: Annotated[str | None, typer.Option(help="ddpm, ddim, euler, heun, dpmpp_2m.")] = None,
    guidance_scale: Annotated[float | None, typer.Option(help="Exaggerate the class.")] = None,
    init_image: Annotated[
        Path | None, typer.Option(help="Vary this picture.", exists=True, dir_okay=False)
    ] = None,
    strength: Annotated[float | None, typer.Option(help="How far to leave it: 0 to 1.")] = None,
    interpolate_to: Annotated[
        int | None, typer.Option(metavar="SEED", help="Walk from the seed to this one.")
    ] = None,
    frames: Annotated[int | None, typer.Option(help="Pictures of the walk.")] = None,
    grid: Annotated[bool, typer.Option("--grid", help="A sheet of all n besides.")] = False,
    to: Annotated[Path, typer.Option("--out", help="Folder for the files.")] = Path(),
    detach: Annotated[bool, typer.Option(help="Print the job's id and don't wait.")] = False,
    keep: Keep = False,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Make pictures and save them as MODEL-SEED.png; a sheet's name says so.

    A walk is saved as a sheet and an animation, MODEL-SEED.webp.
    """
    common = {"model": model, "n": n, "seed": seed, "output_format": output_format}
    own = {
        "class_label": class_label,
        "steps": steps,
        "sampler": sampler,
        "guidance_scale": guidance_scale,
        "init_image": None if init_image is None else str(init_image),  # until it is posted
        "strength": strength,
        "interpolate": walk_to(interpolate_to, frames),
        "grid": grid or None,
    }
    body = merged(common | own, common, param or [])
    files = {"init_image": init_image}
    with client(url, api_key) as service:
        carry_out(service, "image", body, files, to, detach, as_json, keep)


def carry_out(
    service: "Client",
    route: str,
    body: dict[str, Any],
    files: Mapping[str, Path | None],
    to: Path,
    detach: bool,
    as_json: bool,
    keep: bool,
) -> None:
    """Post the files, then the request that names them; wait for what it makes, unless told not
    to, save it and say where."""
    job = submitted(service, route, body, files)
    tell(job, [job.id] if detach else made(job, to, keep), as_json)


def submitted(
    service: "Client", route: str, body: dict[str, Any], files: Mapping[str, Path | None]
) -> "Job":
    """Post the files, then the request that names them."""
    named = {k: service.upload(path)["sha256"] for k, path in files.items() if path is not None}
    return service.submit(route, body | named)


def tell(job: "Job", told: list[str], as_json: bool) -> None:
    """Say where things lie, and what is to be known of them."""
    if as_json:
        show_json(job.data)
        return
    print(*told, sep="\n")
    for note in dict.fromkeys(note for output in job.outputs for note in output.notes):
        print(f"atelier: {note}", file=sys.stderr)


def merged(body: dict[str, Any], common: Collection[str], param: list[str]) -> dict[str, Any]:
    """The options that were given, and the params; none of them twice."""
    given = {k: v for k, v in body.items() if v is not None}
    params = parsed(param)
    if twice := (set(common) | given.keys()) & params.keys():
        name = min(twice)
        option = "interpolate-to" if name == "interpolate" else name.replace("_", "-")
        raise fail(f"{name} is an option of its own: --{option}", 2)
    return params | given


def format_of(file: Path, formats: Mapping[str, str], output_format: str | None, n: int) -> str:
    """What the name of one file that is to be made says of it."""
    named = formats.get(file.suffix.lower())
    if n != 1:
        raise fail("-o names one file: more go to a folder, --out", 2)
    if named is None:
        raise fail(f"-o must end in {', '.join(formats)}, not {file.suffix or file}", 2)
    if output_format not in (None, named):
        raise fail(f"{file} is not to be {output_format}", 2)
    return named


def walk_to(seed: int | None, frames: int | None) -> dict[str, int] | None:
    """The way from a request's own seed to another's."""
    if seed is None and frames is not None:
        raise fail("--frames needs --interpolate-to", 2)
    if seed is None:
        return None
    return {"to_seed": seed} | ({} if frames is None else {"frames": frames})


def made(job: "Job", folder: Path, keep: bool) -> list[str]:
    """Wait for what a job makes and save it; the paths."""
    with cancel_on_interrupt(job, keep):
        follow(job)
        job.wait()
    return [str(save(output, folder, job.model)) for output in job.outputs]


def save(output: "Output", folder: Path, model: str) -> Path:
    """Save under a name that says what made it; another file of that name is kept."""
    role = f"-{output.role}" if output.role in BESIDE else ""
    folder.mkdir(parents=True, exist_ok=True)
    return output.save(unused(folder / f"{model}-{output.seed}{role}{suffix_of(output)}"))


def unused(path: Path) -> Path:
    """This path, or with a number where another file has the name."""
    found, count = path, 1
    while found.exists():
        count += 1
        found = path.with_name(f"{path.stem}-{count}{path.suffix}")
    return found


def suffix_of(output: "Output") -> str:
    """What the name of its file ends in."""
    return SUFFIXES.get(output.content_type, "." + output.content_type.rpartition("/")[2])


def models(
    model: Annotated[str | None, typer.Argument(help="One model's whole card.")] = None,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """What can be asked for."""
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


jobs = typer.Typer(help="Your jobs, newest first; or the files of one.")


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
    """Your jobs, newest first; or the files of one: `atelier jobs fetch JOB`."""
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
    job_id: Annotated[str, typer.Argument(metavar="JOB")],
    to: Out = Path(),
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Wait for a job if it still runs, and save its files. Ctrl-C leaves the job running."""
    with client(url, api_key) as service:
        job = service.job(job_id)
        tell(job, made(job, to, keep=True), as_json)


def job(
    job_id: Annotated[str, typer.Argument(metavar="JOB")], url: Url = None, api_key: ApiKey = None
) -> None:
    """One job, whole."""
    with client(url, api_key) as service:
        show_json(service.job(job_id).data)


def cancel(
    job_id: Annotated[str, typer.Argument(metavar="JOB")], url: Url = None, api_key: ApiKey = None
) -> None:
    """Ask for a job's end, and say how it stands."""
    with client(url, api_key) as service:
        print(service.job(job_id).cancel().status)
