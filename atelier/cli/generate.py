"""`atelier generate`: a command for each row of the table of modalities, and for any other name."""

from inspect import Parameter, Signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from atelier.cli.options import (
    ApiKey,
    AsJson,
    Keep,
    Model,
    OutFolder,
    Params,
    Url,
    client,
    merge_params,
)
from atelier.cli.output import fail
from atelier.cli.results import format_by_name, print_results, save_outputs
from models.modalities import MODALITIES

if TYPE_CHECKING:
    from atelier.client.client import Client

BODY = ("model", "n", "seed", "output_format")
"""The options of every modality that are fields of the request."""


def option(
    name: str, kind: type, text: str, *flags: str, default: Any = None, **settings: Any
) -> Parameter:
    """An option of a command. A Path is the path of a file to upload."""
    if kind is Path:
        settings = {"exists": True, "dir_okay": False} | settings
    info = typer.Option(default, *flags, help=text, **settings)
    return Parameter(name, Parameter.KEYWORD_ONLY, default=info, annotation=kind | None)


def prompt(text: str, required: bool = False) -> Parameter:
    """The prompt, which is an argument of the command."""
    info = typer.Argument(... if required else None, help=text)
    kind = str if required else str | None
    return Parameter("prompt", Parameter.KEYWORD_ONLY, default=info, annotation=kind)


def shared(name: str, annotation: Any, default: Any = None) -> Parameter:
    """An option that other commands have too."""
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


COMMON = (
    shared("model", Model),
    option("n", int, "How many.", "--n", "-n", default=1),
    option("seed", int, "A seed repeats its result."),
    shared("param", Params),
    option("output_format", str, "The format of the files."),
    option("file", Path, "The file to write; its ending sets the format.", "-o", exists=False),
    shared("to", OutFolder, Path()),
    shared("detach", bool, typer.Option(False, help="Print the job's id and don't wait.")),
    shared("keep", Keep, False),
    shared("as_json", AsJson, False),
    shared("url", Url),
    shared("api_key", ApiKey),
)
STEPS = option("steps", int, "Steps of a diffusion model.")
SAMPLER = option("sampler", str, "ddpm, ddim, euler, heun, dpmpp_2m.")
GUIDANCE = option("guidance_scale", float, "Exaggerate the prompt or the class.")
STRENGTH = option("strength", float, "How far to leave the initial image: 0 to 1.")
STYLE = option("style", str, "A style, by its name or number.")
UPSCALE = option("upscale", int, "4 is four times as wide and as high.")
GRID = option("grid", bool, "A sheet of all n besides.", "--grid")

OPTIONS: dict[str, tuple[Parameter, ...]] = {
    "image": (
        option("class_label", str, "What to draw: name or number."),
        STEPS,
        SAMPLER,
        GUIDANCE,
        option("init_image", Path, "Vary this image."),
        STRENGTH,
        option("interpolate_to", int, "Interpolate to this seed.", metavar="SEED"),
        option("frames", int, "Images of the interpolation."),
        GRID,
    ),
    "text-to-image": (
        prompt("What to paint.", required=True),
        option("negative_prompt", str, "What to stay away from."),
        STYLE,
        STEPS,
        SAMPLER,
        GUIDANCE,
        option("init_image", Path, "Start from this image."),
        STRENGTH,
        option("mask", Path, "Repaint only what is white in this image."),
        UPSCALE,
        GRID,
    ),
    "audio": (
        STYLE,
        option("seconds", float, "How long: up to 60."),
        option("score", Path, "Play this MIDI file."),
        option("tempo", float, "Quarter notes a minute."),
        option("key", str, 'Such as "F# minor".'),
    ),
    "video": (
        prompt("What to show.", required=True),
        option("init_image", Path, "Animate this image."),
        option("frames", int, "Frames of the loop."),
        option("fps", float, "Frames a second."),
        option("repeat", int, "How often to play the loop."),
        STYLE,
        STEPS,
        GUIDANCE,
        UPSCALE,
    ),
    "story": (
        prompt("What to write about."),
        option("kind", str, "story, poem, continuation."),
        option("text", str, "The text to continue."),
        option("style", str, "ode, fable, fairy tale, or any other words."),
        option("form", str, "A poem's: haiku, limerick, sonnet, couplet, acrostic, free verse."),
        option("acrostic", str, "The word that an acrostic's first letters spell."),
        option("lines", int, "Of a couplet or free verse."),
        option("title", str, "Its title; else the model finds one."),
        option("max_tokens", int, "Tokens to write at most."),
        option("temperature", float, "How freely: 0 is not at all."),
    ),
    "embedding": (option("texts", list[str], "A text; once for each.", "--text"),),
}
"""The options of a modality besides COMMON. Others are given with --param."""


class AnyModality(TyperGroup):
    """Has a command for every name: a service may have modalities that the table does not."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if command := super().get_command(ctx, cmd_name):
            return command
        alone = typer.Typer(add_completion=False)
        add_command(alone, cmd_name)
        return typer.main.get_command(alone)


generate = typer.Typer(cls=AnyModality, help="Generate something.", no_args_is_help=True)


def add_command(group: typer.Typer, modality: str) -> None:
    """Adds the command that generates a modality."""

    def command(**values: Any) -> None:
        generate_and_save(modality, values)

    own = OPTIONS.get(modality, (prompt("What to generate."),))
    command.__signature__ = Signature([*own, *COMMON])  # type: ignore[attr-defined]
    row = MODALITIES.get(modality)
    command.__doc__ = f"""{row.summary if row else f"Generate {modality}"}.

    Saves the files as MODEL-SEED, or as -o says. Prints notes on standard error.
    """
    group.command(name=modality)(command)


for name in MODALITIES:
    add_command(generate, name)


def generate_and_save(modality: str, values: dict[str, Any]) -> None:
    """Submits the request that the options describe. Saves and lists its outputs, or detaches."""
    file, to, detach, keep, as_json, pairs = (
        values.pop(key) for key in ("file", "to", "detach", "keep", "as_json", "param")
    )
    url, api_key = values.pop("url"), values.pop("api_key")
    if file is not None:
        values["output_format"] = format_by_name(
            modality, file, values["output_format"], values["n"]
        )
    if "interpolate_to" in values:
        seed, frames = values.pop("interpolate_to"), values.pop("frames")
        values["interpolate"] = interpolation(seed, frames)
    body = merge_params(values, BODY, pairs or [])
    with client(url, api_key) as service:
        if modality not in MODALITIES:
            check_modality(service, modality)
        for param, path in body.items():
            if isinstance(path, Path):
                body[param] = service.upload(path)["sha256"]
        job = service.submit(modality, body)
        print_results(job, [job.id] if detach else save_outputs(job, to, keep, file), as_json)


def interpolation(seed: int | None, frames: int | None) -> dict[str, int] | None:
    """The param that interpolates from the request's own seed to another."""
    if seed is None:
        if frames is not None:
            raise fail("--frames needs --interpolate-to", 2)
        return None
    return {"to_seed": seed} | ({} if frames is None else {"frames": frames})


def check_modality(service: "Client", modality: str) -> None:
    """Fails where no model of the service makes it."""
    known = {card["modality"] for card in service.models()} | MODALITIES.keys()
    if modality not in known:
        raise fail(f"no modality {modality}; there are {', '.join(sorted(known))}", 2)
