"""The `atelier` command."""

import sys

import typer

from atelier import (
    cli_data,
    cli_eval,
    cli_files,
    cli_import,
    cli_jobs,
    cli_music,
    cli_service,
    cli_video,
    cli_words,
    cli_writing,
)

app = typer.Typer(
    name="atelier",
    help="Images, music, video and stories from generative models, on your own machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
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
app.command()(cli_jobs.jobs)
app.command()(cli_jobs.job)
app.command()(cli_jobs.cancel)
app.command()(cli_files.train)
app.add_typer(cli_data.data, name="data")
app.add_typer(cli_import.import_, name="import")
app.command()(cli_import.lead)
app.command()(cli_files.inspect)
app.command(name="eval")(cli_eval.eval_)
app.command()(cli_eval.quality)


def main() -> None:
    """Errors that are not ours to mend are one clear line, never a traceback."""
    try:
        app()
    except Exception as error:
        from atelier.errors import AtelierError

        if not isinstance(error, AtelierError | OSError):
            raise
        print(f"atelier: {error}", file=sys.stderr)
        sys.exit(1)
