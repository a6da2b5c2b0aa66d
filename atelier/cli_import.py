"""`atelier import`: foreign weights become checkpoints, once; none is ever loaded as it was."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atelier.cli_files import NEEDS, Folder
from atelier.cli_say import fail, settings_with

if TYPE_CHECKING:
    from types import ModuleType

import_ = typer.Typer(
    help="Turn foreign weights into a checkpoint, once; the service never loads what they were.",
    no_args_is_help=True,
)

Key = Annotated[str | None, typer.Option(help="Entry of the file that holds them.")]
Id = Annotated[str | None, typer.Option("--id", help="Id; else the file's name.")]
Title = Annotated[str, typer.Option(help="A title for its card.")]
Licence = Annotated[str, typer.Option(help="Licence of the weights.")]
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
    _say(lambda foreign: foreign.import_weights("dcgan", file, key, folder, called, card))


@import_.command()
def diffusers(
    file: Annotated[Path, typer.Argument(help="Its folder.", metavar="FOLDER", exists=True)],
    name: Id = None,
    to: Folder = None,
    title: Title = "",
    licence: Licence = "unknown",
    data: Data = "unknown",
) -> None:
    """A Stable Diffusion 1.x or 2.x folder, as diffusers has it."""
    card = _card(title, licence, data)
    folder, called = settings_with(checkpoints=to).checkpoints, _called(file, name)
    _say(lambda foreign: foreign.import_weights("diffusers", file, None, folder, called, card))


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
    """A CLIP, which becomes a part: it leads other models (see `atelier lead`)."""
    card = _card(title, licence, data)
    folder, called = settings_with(checkpoints=to).checkpoints, _called(weights, name)

    def imported(foreign: "ModuleType") -> Path:
        source = foreign.Source(model, weights, tag, key)
        path: Path = foreign.import_clip(source, folder, called, replace, card)
        return path

    _say(imported)


def _card(title: str, licence: str, data: str) -> dict[str, Any]:
    return {"title": title, "licence": licence, "data": data, "data_licence": "unknown"}


def _called(file: Path, name: str | None) -> str:
    file = file.absolute()  # a folder may be given as "."
    return name or (file.name if file.is_dir() else file.stem).lower()


def _say(imported: "Callable[[ModuleType], Path]") -> None:
    """The path of what `models.foreign` has written, or one line of why it has not."""
    try:
        from models import foreign
        from models.header import CheckpointError
    except ModuleNotFoundError as error:
        raise fail(NEEDS.format(extra="worker", missing=error.name)) from None
    try:
        path = imported(foreign)
    except CheckpointError as error:
        raise fail(str(error)) from None
    print(path)
