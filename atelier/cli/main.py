"""The `atelier` command."""

import sys
from typing import Annotated

import typer

from atelier.cli import audio as cli_music
from atelier.cli import convert as cli_import
from atelier.cli import data as cli_data
from atelier.cli import evaluate as cli_eval
from atelier.cli import image as cli_words
from atelier.cli import jobs as cli_jobs
from atelier.cli import service as cli_service
from atelier.cli import story as cli_writing
from atelier.cli import train as cli_files
from atelier.cli import video as cli_video

app = typer.Typer(
    name="atelier",
    help="Images, music, video and stories from generative models, on your own machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(cli_service.up)
app.command()(cli_service.api)
app.command()(cli_service.worker)
app.add_typer(cli_service.keys, name="keys")
cli_jobs.generate.command(name="text-to-image")(cli_words.text_to_image)
cli_jobs.generate.command()(cli_music.audio)
cli_jobs.generate.command()(cli_writing.story)
cli_jobs.generate.command()(cli_video.video)
app.add_typer(cli_jobs.generate, name="generate")
app.command()(cli_music.listen)
app.command()(cli_words.paint)
app.command()(cli_writing.write)
app.command()(cli_words.regenerate)
app.command()(cli_jobs.models)
app.add_typer(cli_jobs.jobs, name="jobs")
app.command()(cli_jobs.job)
app.command()(cli_jobs.cancel)
app.command()(cli_files.train)
app.add_typer(cli_data.data, name="data")
app.add_typer(cli_import.import_, name="import")
app.command()(cli_import.lead)
app.command()(cli_files.inspect)
app.command(name="eval")(cli_eval.eval_)
app.command()(cli_eval.quality)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"atelier {version('atelier')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Images, music, video and stories from generative models, on your own machine."""


def main() -> None:
    """Runs a command. An error of the service, the network or a file is one line that says what to
    do, never a traceback."""
    try:
        app()
    except Exception as error:
        from atelier.client.errors import AtelierError, advice

        if not isinstance(error, AtelierError | OSError):
            raise
        print(f"atelier: {error}{advice(error)}", file=sys.stderr)
        sys.exit(1)
