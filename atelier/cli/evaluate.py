"""`atelier eval` and `quality`: how good checkpoints are, and the page that says so."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atelier.cli.jobs import parsed
from atelier.cli.output import fail, settings_with, show_json
from atelier.cli.train import NEEDS

if TYPE_CHECKING:
    from training.evaluation.image_trial import Eyes
    from training.metrics.features import Features

Checkpoints = Annotated[
    Path | None,
    typer.Option(help="Folder of checkpoints.", envvar="ATELIER_CHECKPOINTS"),
]


def eval_(
    checkpoint: Annotated[str, typer.Argument(help="A checkpoint's file, or its id.")],
    reference: Annotated[
        str | None, typer.Option(help="Pictures to compare with, if not those of its recipe.")
    ] = None,
    n: Annotated[int | None, typer.Option(help="Pictures a seed, if not 2,000.")] = None,
    seeds: Annotated[int, typer.Option(help="Seeds that the interval is over.")] = 3,
    param: Annotated[list[str] | None, typer.Option(help="key=value, as often as needed.")] = None,
    inception: Annotated[
        Path | None, typer.Option(help="Weights of Inception v3, for FID and IS.", exists=True)
    ] = None,
    checkpoints: Checkpoints = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Measure a checkpoint's pictures and write the figures, with intervals, into its card."""
    try:
        from models.checkpoint.header import CheckpointError
        from training.data.cache import DataMissing
        from training.errors import TrainingError
        from training.evaluation.evaluate import evaluate
        from training.evaluation.options import EvalOptions
        from training.metrics.features import EfficientNetLite0
        from training.pipeline import device_of

        features = EfficientNetLite0()
    except ModuleNotFoundError as error:
        raise fail(NEEDS.format(extra="train", missing=error.name)) from None
    path = _file(checkpoint, settings_with(checkpoints=checkpoints).checkpoints)
    order = EvalOptions(parsed(param or []), n, seeds, reference)
    try:
        show_json(evaluate(path, order, _eyes(features, inception), device_of(device)))
    except (TrainingError, DataMissing, CheckpointError) as error:
        raise fail(str(error)) from None


def quality(
    out: Annotated[Path, typer.Option(help="Folder for quality.md and its sheets.")] = Path("docs"),
    checkpoints: Checkpoints = None,
) -> None:
    """Write the table of all checkpoints' figures, and a sheet of pictures of each."""
    try:
        from models.checkpoint.header import CheckpointError
        from training.evaluation.report import write_report
    except ModuleNotFoundError as error:
        raise fail(NEEDS.format(extra="train", missing=error.name)) from None
    try:
        print(write_report(settings_with(checkpoints=checkpoints).checkpoints, out))
    except CheckpointError as error:
        raise fail(str(error)) from None


def _eyes(features: "Features", inception: Path | None) -> "Eyes":
    from training.evaluation.image_trial import Eyes

    if inception is None:
        return Eyes(features)
    from training.metrics.inception import InceptionV3  # which takes torchvision a second

    return Eyes(features, InceptionV3(inception))


def _file(named: str, folder: Path) -> Path:
    """A checkpoint by the path of its file, else by its id in a folder."""
    from models.checkpoint.header import SUFFIX

    places = (Path(named), folder / f"{named}{SUFFIX}")
    found = [path for path in places if path.is_file()]
    if not found:
        raise fail(f"no checkpoint {named}, and none of that id in {folder}")
    return found[0]
