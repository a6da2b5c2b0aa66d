"""The `atelier` command."""

import sys
from typing import Annotated

import typer

from atelier.cli import file_facts, interactive, jobs, mcp_command, service
from atelier.cli.checkpoints import convert, data, evaluate, train
from atelier.cli.generate import generate

app = typer.Typer(
    name="atelier",
    help="Images, music, video and stories from generative models, on your own machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(service.up)
app.command()(service.api)
app.command()(service.worker)
app.add_typer(service.keys, name="keys")
app.add_typer(generate, name="generate")
app.command()(jobs.listen)
app.command()(interactive.paint)
app.command()(interactive.write)
app.command()(mcp_command.mcp)
app.command()(file_facts.regenerate)
app.command()(jobs.models)
app.add_typer(jobs.jobs, name="jobs")
app.command()(jobs.job)
app.command()(jobs.cancel)
app.command()(train.train)
app.add_typer(data.data, name="data")
app.add_typer(convert.import_, name="import")
app.command()(convert.attach_clip)
app.command()(file_facts.inspect)
app.command(name="eval")(evaluate.eval_)
app.command()(evaluate.quality)
app.command()(evaluate.samples)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"atelier {version('atelier-service')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Images, music, video and stories from generative models, on your own machine."""


def main() -> None:
    """Runs a command. An error of the service, the network or a file is one line, no traceback."""
    try:
        app(prog_name="atelier")
    except Exception as error:
        from atelier.client.errors import AtelierError, advice

        if not isinstance(error, AtelierError | OSError):
            raise
        print(f"atelier: {error}{advice(error)}", file=sys.stderr)
        sys.exit(1)
