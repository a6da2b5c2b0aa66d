"""`atelier eval`, `quality` and `samples`: measures checkpoints, and shows what they make."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atelier.cli.options import Params, parse_params
from atelier.cli.output import fail, failing_in_one_line, settings_with, show_json

if TYPE_CHECKING:
    from app.core.settings import Settings

Checkpoints = Annotated[
    Path | None,
    typer.Option(help="Folder of checkpoints.", envvar="ATELIER_CHECKPOINTS"),
]


def eval_(
    checkpoint: Annotated[str, typer.Argument(help="A checkpoint's file, or its id.")],
    reference: Annotated[
        str | None, typer.Option(help="Pictures to compare with, if not those of its recipe.")
    ] = None,
    n: Annotated[int | None, typer.Option(help="Items a seed, if not the usual number.")] = None,
    seeds: Annotated[int, typer.Option(help="Seeds that the interval is over.")] = 3,
    param: Params = None,
    inception: Annotated[
        Path | None, typer.Option(help="Weights of Inception v3, for FID and IS.", exists=True)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File of figures to write into, not the card.")
    ] = None,
    checkpoints: Checkpoints = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Measure what a checkpoint makes and write the figures, with intervals, into its card."""
    with failing_in_one_line("train"):
        from training.evaluation.evaluate import evaluate
        from training.evaluation.evaluator import EvalOptions, FeatureNets
        from training.metrics.image.features import EfficientNetLite0
        from training.pipeline import device_of

        features, judge = EfficientNetLite0(), None
        path = _file(checkpoint, settings_with(checkpoints=checkpoints))
        order = EvalOptions(parse_params(param or []), n, seeds, reference)
        if inception is not None:
            from training.metrics.image.inception import (
                InceptionV3,  # which takes torchvision a second
            )

            judge = InceptionV3(inception)
        show_json(evaluate(path, order, FeatureNets(features, judge), device_of(device), out))


def quality(
    models: Annotated[
        list[str] | None,
        typer.Argument(help="Ids of checkpoints whose sheets to draw; all if none is named."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for quality.md and its sheets.")] = Path("docs"),
    checkpoints: Checkpoints = None,
) -> None:
    """Write the table of all checkpoints' figures, and a sheet of pictures of each."""
    with failing_in_one_line("train"):
        from training.evaluation.report.report import write_report

        print(write_report(settings_with(checkpoints=checkpoints).checkpoints, out, models or ()))


def samples(
    models: Annotated[
        list[str] | None, typer.Argument(help="Ids of checkpoints; all if none is named.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the files, if not `samples` in --checkpoints.")
    ] = None,
    checkpoints: Checkpoints = None,
) -> None:
    """Write a small sample of each checkpoint, which the service shows with its card."""
    with failing_in_one_line("train"):
        from training.evaluation.report.model_samples import FOLDER, write_samples

        folders = settings_with(checkpoints=checkpoints).checkpoint_folders
        for path in write_samples(folders, out or folders[0] / FOLDER, models or ()):
            print(path)


def _file(name: str, settings: "Settings") -> Path:
    """Returns a checkpoint's path, by the path of its file or by its id in a folder."""
    from models.checkpoint.header import SUFFIX

    folders = settings.checkpoint_folders
    for path in (Path(name), *(folder / f"{name}{SUFFIX}" for folder in folders)):
        if path.is_file():
            return path
    looked = ", ".join(map(str, folders))
    raise fail(f"no checkpoint {name}, and none of that id in {looked}")
