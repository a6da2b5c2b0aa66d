"""`atelier train`: checkpoints from recipes."""

from pathlib import Path
from typing import Annotated

import typer

from atelier.cli.output import fail, failing_in_one_line, settings_with

Folder = Annotated[
    Path | None,
    typer.Option("--out", help="Folder of checkpoints.", envvar="ATELIER_CHECKPOINTS"),
]


def train(
    recipe: Annotated[
        str, typer.Argument(help="A recipe, named as the checkpoint it makes, or a .toml file.")
    ],
    data: Annotated[
        str | None, typer.Option(help="A folder of pictures, or a set by its name.")
    ] = None,
    name: Annotated[str | None, typer.Option("--id", help="What to call the checkpoint.")] = None,
    to: Folder = None,
    runs: Annotated[Path, typer.Option(help="Folder for state, samples and plots.")] = Path("runs"),
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps, if not the recipe's own.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Resume an interrupted run.")] = False,
    replace: Annotated[bool, typer.Option(help="Replace a checkpoint of that name.")] = False,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    start: Annotated[
        str | None, typer.Option("--from", help="Begin from this checkpoint's weights.")
    ] = None,
) -> None:
    """Train a checkpoint, from data that its recipe fetches or from pictures of your own.

    The service has it as soon as its file exists.
    """
    with failing_in_one_line("train", "stopped; what was saved goes on with --resume"):
        from training.errors import TrainingStopped
        from training.pipeline import TrainOptions, run

        folder = settings_with(checkpoints=to).checkpoints
        order = TrainOptions(
            recipe, folder, runs, data, name, steps, resume, replace, device, start
        )
        try:
            print(run(order))
        except TrainingStopped as error:
            message = f"{error}; the same command goes on with --resume"
            raise fail(message, 128 + error.signal) from None
