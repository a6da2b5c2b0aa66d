"""`atelier import` and `attach-clip`: imports foreign weights, and attaches CLIPs to models."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from atelier.cli.output import fail, settings_with
from atelier.cli.train import NEEDS, Folder

import_ = typer.Typer(
    help="Turn foreign weights into a checkpoint, once; the service never loads what they were.",
    no_args_is_help=True,
)

Key = Annotated[str | None, typer.Option(help="Entry of the file that holds them.")]
Id = Annotated[str | None, typer.Option("--id", help="Id; else the file's name.")]
Title = Annotated[str, typer.Option(help="A title for its card.")]
Licence = Annotated[str, typer.Option(help="Licence of the weights.")]
Context = Annotated[
    int | None, typer.Option(help="Tokens that a text may have; else as many as it knows, or 2048.")
]
Data = Annotated[str, typer.Option(help="What it was trained on.")]


@import_.command()
def dcgan(
    file: Annotated[Path, typer.Argument(help="Its state dict.", exists=True)],
    key: Key = None,
    name: Id = None,
    to: Folder = None,
    title: Title = "",
    licence: Licence = "unknown",
    data: Data = "unknown",
) -> None:
    """The generator of a DCGAN, in the widespread layout (main.N.weight)."""
    card = _card(title, licence, data)
    folder, called = settings_with(checkpoints=to).checkpoints, _called(file, name)

    def imported() -> Path:
        from models.convert.importers import import_weights

        return import_weights("dcgan", file, key, folder, called, card)

    _say(imported)


@import_.command()
def diffusers(
    file: Annotated[Path, typer.Argument(help="Its folder.", metavar="FOLDER", exists=True)],
    name: Id = None,
    clip: Annotated[
        str | None, typer.Option(help="Id of a CLIP among the parts, to guide it.")
    ] = None,
    to: Folder = None,
    title: Title = "",
    licence: Licence = "unknown",
    data: Data = "unknown",
) -> None:
    """A Stable Diffusion 1.x or 2.x folder, as diffusers has it."""
    card = _card(title, licence, data)
    folder, called = settings_with(checkpoints=to).checkpoints, _called(file, name)

    def imported() -> Path:
        from models.convert.importers import import_weights
        from models.diffusion.attach_clip import guided_by

        needs = {} if clip is None else {"requires": guided_by(folder, clip)}
        return import_weights("diffusers", file, None, folder, called, card | needs)

    _say(imported)


@import_.command(name="open-clip")
def open_clip(
    model: Annotated[
        str, typer.Argument(help="open_clip's name, such as ViT-B-32, or a configuration (.json).")
    ],
    weights: Annotated[
        Path, typer.Argument(help="Its weights: .safetensors, .pt or .bin.", exists=True)
    ],
    name: Id = None,
    tag: Annotated[
        str | None,
        typer.Option("--pretrained", help="open_clip's tag of these weights, such as openai."),
    ] = None,
    key: Key = None,
    replace: Annotated[bool, typer.Option(help="Give up the part that has the id.")] = False,
    to: Folder = None,
    title: Title = "",
    licence: Licence = "unknown",
    data: Data = "unknown",
) -> None:
    """A CLIP, which becomes a part: it guides other models (see `atelier attach-clip`)."""
    card = _card(title, licence, data)
    folder, called = settings_with(checkpoints=to).checkpoints, _called(weights, name)

    def imported() -> Path:
        from models.convert.importers import import_clip
        from models.convert.open_clip import OpenClipSource

        return import_clip(OpenClipSource(model, weights, tag, key), folder, called, replace, card)

    _say(imported)


@import_.command()
def gguf(
    file: Annotated[Path, typer.Argument(help="A .gguf file.", exists=True, dir_okay=False)],
    name: Id = None,
    context: Context = None,
    to: Folder = None,
    title: Title = "",
    licence: Licence = "unknown",
    data: Data = "unknown",
) -> None:
    """A language model in one GGUF file; its weights become plain bfloat16."""
    _import_language(file, name, context, to, _card(title, licence, data))


@import_.command()
def transformers(
    file: Annotated[
        Path, typer.Argument(help="Its folder.", metavar="FOLDER", exists=True, file_okay=False)
    ],
    name: Id = None,
    context: Context = None,
    to: Folder = None,
    title: Title = "",
    licence: Licence = "unknown",
    data: Data = "unknown",
) -> None:
    """A causal language model's folder, as transformers has it."""
    _import_language(file, name, context, to, _card(title, licence, data))


def _import_language(
    file: Path, name: str | None, context: int | None, to: Path | None, card: dict[str, Any]
) -> None:
    folder, called = settings_with(checkpoints=to).checkpoints, _called(file, name)

    def imported() -> Path:
        from models.convert.importers import import_language

        return import_language(file, context, folder, called, card)

    _say(imported)


def attach_clip(
    model: Annotated[str, typer.Argument(help="Id of a diffusion model among the checkpoints.")],
    clip: Annotated[
        str | None, typer.Option(help="Id of the CLIP among their parts.", show_default=False)
    ] = None,
    to: Folder = None,
    none: Annotated[bool, typer.Option("--none", help="Detach its CLIP.")] = False,
) -> None:
    """Let a CLIP guide a diffusion model: its card names the CLIP, its weights stay as they are."""
    if (clip is None) is not none:
        raise fail("name a CLIP by --clip, or detach it by --none")
    folder = settings_with(checkpoints=to).checkpoints

    def attached() -> Path:
        from models.diffusion import attach_clip as clips

        if clip is None:
            return clips.detach_clip(folder, model)
        return clips.attach_clip(folder, model, clip)

    _say(attached)


def _card(title: str, licence: str, data: str) -> dict[str, Any]:
    return {"title": title, "licence": licence, "data": data, "data_licence": "unknown"}


def _called(file: Path, name: str | None) -> str:
    file = file.absolute()  # a folder may be given as "."
    return name or (file.name if file.is_dir() else file.stem).lower()


def _say(write: Callable[[], Path]) -> None:
    """The path of what was written, or one line of why nothing was."""
    from models.checkpoint.header import CheckpointError

    try:
        path = write()
    except ModuleNotFoundError as error:
        raise fail(NEEDS.format(extra="worker", missing=error.name)) from None
    except CheckpointError as error:
        raise fail(str(error)) from None
    print(path)
