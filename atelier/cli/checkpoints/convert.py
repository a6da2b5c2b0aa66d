"""`atelier import` and `attach-clip`: checkpoints from foreign weights, and CLIPs that guide."""

from pathlib import Path
from typing import Annotated, Any

import typer

from atelier.cli.checkpoints.train import Folder
from atelier.cli.output import fail, failing_in_one_line, settings_with

import_ = typer.Typer(
    help="Convert foreign weights to a checkpoint, once. The service never loads the originals.",
    no_args_is_help=True,
)

Key = Annotated[str | None, typer.Option(help="Entry of the file that holds the weights.")]
Id = Annotated[str | None, typer.Option("--id", help="Id; else the file's name.")]
Title = Annotated[str, typer.Option(help="A title for its card.")]
Licence = Annotated[str, typer.Option(help="Licence of the weights.")]
Context = Annotated[
    int | None,
    typer.Option(help="Tokens of a text at most; else as many as the model knows, or 2048."),
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
    with failing_in_one_line("worker"):
        from models.convert.importers import import_weights

        card = _card(title, licence, data)
        print(import_weights("dcgan", file, key, _folder(to), _id(file, name), card))


@import_.command()
def diffusers(
    file: Annotated[Path, typer.Argument(help="Its folder.", metavar="FOLDER", exists=True)],
    name: Id = None,
    clip: Annotated[str | None, typer.Option(help="Id of a CLIP that guides it.")] = None,
    to: Folder = None,
    title: Title = "",
    licence: Licence = "unknown",
    data: Data = "unknown",
) -> None:
    """A Stable Diffusion 1.x or 2.x folder, as diffusers has it."""
    with failing_in_one_line("worker"):
        from models.convert.importers import import_weights
        from models.diffusion.attach_clip import guided_by

        folder, card = _folder(to), _card(title, licence, data)
        if clip is not None:
            card["requires"] = guided_by(folder, clip)
        print(import_weights("diffusers", file, None, folder, _id(file, name), card))


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
    replace: Annotated[bool, typer.Option(help="Replace a component that has the id.")] = False,
    to: Folder = None,
    title: Title = "",
    licence: Licence = "unknown",
    data: Data = "unknown",
) -> None:
    """A CLIP, as a component that guides other models (see `atelier attach-clip`)."""
    with failing_in_one_line("worker"):
        from models.convert.importers import import_clip
        from models.convert.open_clip import OpenClipSource

        source, card = OpenClipSource(model, weights, tag, key), _card(title, licence, data)
        print(import_clip(source, _folder(to), _id(weights, name), replace, card))


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
    with failing_in_one_line("worker"):
        from models.convert.importers import import_language

        card = _card(title, licence, data)
        print(import_language(file, context, _folder(to), _id(file, name), card))


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
    gguf(file, name, context, to, title, licence, data)


@import_.command(name="sentence-transformers")
def sentence_transformers(
    file: Annotated[
        Path, typer.Argument(help="Its folder.", metavar="FOLDER", exists=True, file_okay=False)
    ],
    name: Id = None,
    to: Folder = None,
    title: Title = "",
    licence: Licence = "unknown",
    data: Data = "unknown",
) -> None:
    """A text encoder's folder, as sentence-transformers has it: a BERT with mean pooling."""
    with failing_in_one_line("worker"):
        from models.convert.importers import import_sentence_transformer

        card = _card(title, licence, data)
        print(import_sentence_transformer(file, _folder(to), _id(file, name), card))


def attach_clip(
    model: Annotated[str, typer.Argument(help="Id of a diffusion model among the checkpoints.")],
    clip: Annotated[
        str | None, typer.Option(help="Id of the CLIP among the components.", show_default=False)
    ] = None,
    to: Folder = None,
    none: Annotated[bool, typer.Option("--none", help="Detach the CLIP.")] = False,
) -> None:
    """Let a CLIP guide a diffusion model: the header names the CLIP, the weights do not change."""
    if (clip is None) is not none:
        raise fail("name a CLIP by --clip, or detach it by --none")
    with failing_in_one_line("worker"):
        from models.diffusion import attach_clip as clips

        folder = _folder(to)
        print(
            clips.detach_clip(folder, model)
            if clip is None
            else clips.attach_clip(folder, model, clip)
        )


def _folder(to: Path | None) -> Path:
    return settings_with(checkpoints=to).checkpoints


def _card(title: str, licence: str, data: str) -> dict[str, Any]:
    return {"title": title, "licence": licence, "data": data, "data_licence": "unknown"}


def _id(file: Path, name: str | None) -> str:
    file = file.absolute()  # a folder may be given as "."
    return name or (file.name if file.is_dir() else file.stem).lower()
