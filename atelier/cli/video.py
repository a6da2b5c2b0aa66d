"""`atelier generate video`: moving pictures from words, or of a picture."""

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
    tell,
)
from atelier.cli.progress import cancel_on_interrupt, follow

if TYPE_CHECKING:
    from atelier.client.jobs import Job

FORMATS = {".mp4": "mp4", ".webp": "webp", ".gif": "gif"}


def video(
    prompt: Annotated[str, typer.Argument(help="What to show.")],
    model: Annotated[str | None, typer.Option(help="Model; see `atelier models`.")] = None,
    init_image: Annotated[
        Path | None, typer.Option(help="Set this picture in motion.", exists=True, dir_okay=False)
    ] = None,
    n: Annotated[int, typer.Option("--n", "-n", help="How many.")] = 1,
    seed: Annotated[int | None, typer.Option(help="A seed repeats its video.")] = None,
    param: Annotated[list[str] | None, typer.Option(help="key=value, as often as needed.")] = None,
    output_format: Annotated[str | None, typer.Option(help="mp4, webp or gif.")] = None,
    frames: Annotated[int | None, typer.Option(help="Frames of the loop.")] = None,
    fps: Annotated[float | None, typer.Option(help="Frames a second.")] = None,
    repeat: Annotated[int | None, typer.Option(help="Play the loop so often.")] = None,
    style: Annotated[str | None, typer.Option(help="The manner: name or number.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the sampler.")] = None,
    guidance_scale: Annotated[float | None, typer.Option(help="Exaggerate the words.")] = None,
    upscale: Annotated[int | None, typer.Option(help="4 times as wide and as high.")] = None,
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
    """Make a video and save it as MODEL-SEED.mp4, its first frame and a sheet of all beside it; or
    alone as the file that -o names. What was not understood is told."""
    if file is not None:
        output_format = format_of(file, FORMATS, output_format, n)
    common = {"model": model, "n": n, "seed": seed, "output_format": output_format}
    own = {
        "prompt": prompt,
        "init_image": None if init_image is None else str(init_image),  # until it is posted
        "frames": frames,
        "fps": fps,
        "repeat": repeat,
        "style": style,
        "steps": steps,
        "guidance_scale": guidance_scale,
        "upscale": upscale,
    }
    body = merged(common | own, common, param or [])
    with client(url, api_key) as service:
        job = submitted(service, "video", body, {"init_image": init_image})
        if detach:
            saved = [job.id]
        else:
            saved = made(job, to, keep) if file is None else made_as(job, file, keep)
        tell(job, saved, as_json)


def made_as(job: "Job", file: Path, keep: bool) -> list[str]:
    """Wait for a job and save its video under this name; the path."""
    with cancel_on_interrupt(job, keep):
        follow(job)
        job.wait()
    file.parent.mkdir(parents=True, exist_ok=True)
    return [str(x.save(file)) for x in job.outputs if x.role == "video"]
