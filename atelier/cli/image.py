"""`atelier generate text-to-image`, `paint` and `regenerate`: pictures from words, and again."""

from pathlib import Path
from typing import Annotated, Any

import typer

from atelier.cli.audio import FORMATS as SOUND_FORMATS
from atelier.cli.jobs import ApiKey, AsJson, Keep, Url, carry_out, client, made, merged
from atelier.cli.output import fail
from atelier.cli.progress import cancel_on_interrupt
from atelier.cli.train import facts_of
from atelier.cli.video import FORMATS as VIDEO_FORMATS

Model = Annotated[str | None, typer.Option(help="Model; see `atelier models`.")]
FORMATS = {".png": "png", ".webp": "webp", ".jpg": "jpeg", ".jpeg": "jpeg"}
FORMATS |= SOUND_FORMATS | VIDEO_FORMATS
SCORE = ".mid"  # what scores are whatever the output_format


def text_to_image(
    prompt: Annotated[str, typer.Argument(help="What to paint.")],
    model: Model = None,
    n: Annotated[int, typer.Option("--n", "-n", help="How many.")] = 1,
    seed: Annotated[int | None, typer.Option(help="A seed repeats its picture.")] = None,
    param: Annotated[list[str] | None, typer.Option(help="key=value, as often as needed.")] = None,
    output_format: Annotated[str | None, typer.Option(help="png, webp or jpeg.")] = None,
    negative_prompt: Annotated[str | None, typer.Option(help="What to stay away from.")] = None,
    style: Annotated[str | None, typer.Option(help="The manner: name or number.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the sampler.")] = None,
    sampler: Annotated[str | None, typer.Option(help="ddpm, ddim, euler, heun, dpmpp_2m.")] = None,
    guidance_scale: Annotated[float | None, typer.Option(help="Exaggerate the words.")] = None,
    init_image: Annotated[
        Path | None, typer.Option(help="Start from this picture.", exists=True, dir_okay=False)
    ] = None,
    strength: Annotated[float | None, typer.Option(help="How far to leave it: 0 to 1.")] = None,
    mask: Annotated[
        Path | None,
        typer.Option(help="Repaint only what is white here.", exists=True, dir_okay=False),
    ] = None,
    upscale: Annotated[int | None, typer.Option(help="4 times as wide and as high.")] = None,
    grid: Annotated[bool, typer.Option("--grid", help="A sheet of all n besides.")] = False,
    to: Annotated[Path, typer.Option("--out", help="Folder for the files.")] = Path(),
    detach: Annotated[bool, typer.Option(help="Print the job's id and don't wait.")] = False,
    keep: Keep = False,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Paint what words say and save it as MODEL-SEED.png. What was not understood is told."""
    common = {"model": model, "n": n, "seed": seed, "output_format": output_format}
    files = {"init_image": init_image, "mask": mask}
    own = {
        "prompt": prompt,
        "negative_prompt": negative_prompt,
        "style": style,
        "steps": steps,
        "sampler": sampler,
        "guidance_scale": guidance_scale,
        "strength": strength,
        "upscale": upscale,
        "grid": grid or None,
        **{name: path and str(path) for name, path in files.items()},  # until they are posted
    }
    body = merged(common | own, common, param or [])
    with client(url, api_key) as service:
        carry_out(service, "text-to-image", body, files, to, detach, as_json, keep)


def paint(
    model: Model = None,
    to: Annotated[Path, typer.Option("--out", help="Folder for the files.")] = Path(),
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Type words, see the picture form, get a file; again and again.

    A line like `/seed 7` or `/style noto` sets a param until `/seed` alone unsets it. Ctrl-C stops
    a picture; at the prompt it leaves, as do Ctrl-D and `/quit`.
    """
    from atelier.cli.paint_repl import PaintRepl

    with client(url, api_key) as service:
        easel = PaintRepl(service, to, {} if model is None else {"model": model})
        easel.work()


def regenerate(
    file: Annotated[Path, typer.Argument(help="A file made here.", exists=True, dir_okay=False)],
    to: Annotated[Path | None, typer.Option("--out", help="Folder to save it in again.")] = None,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Have a file made anew from what is written in it, and say whether the bytes are the same."""
    import hashlib

    facts, wanted = facts_of(file), hashlib.sha256(file.read_bytes()).hexdigest()
    with client(url, api_key) as service:
        card = service.model(facts["model"])
        if card["sha256"] != facts["checkpoint"]:
            raise fail(f"{facts['model']} has other weights now than when {file} was made")
        job = service.submit(card["modality"], request_of(file, facts))
        with cancel_on_interrupt(job, keep=False):
            job.wait()
        saved = [] if to is None else made(job, to, keep=False)
        same = any(output.sha256 == wanted for output in job.outputs)
    print(*saved, sep="\n", end="\n" if saved else "")
    if not same:
        raise fail(f"{job.id} made other bytes than those of {file}")
    print("the same bytes")


def request_of(file: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """The request that a file's facts repeat: params that were null are left to their defaults."""
    suffix = file.suffix.lower()
    if suffix not in FORMATS and suffix != SCORE:
        raise fail(f"{file} is no file that a model here makes, by its name")
    params = {k: v for k, v in facts["params"].items() if v is not None}
    beside = suffix == ".png" and "fps" in params  # a video's poster, or its sheet
    unasked = suffix == SCORE or beside or (suffix == ".webp" and "interpolate" in params)
    common = {"model": facts["model"], "seed": facts["seed"]}
    common |= {k: facts[k] for k in ("n", "grid") if k in facts}
    return params | common | ({} if unasked else {"output_format": FORMATS[suffix]})
