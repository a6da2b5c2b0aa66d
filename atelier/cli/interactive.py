"""`atelier paint` and `write`: images and texts from what is typed, again and again."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from atelier.cli.options import ApiKey, Model, OutFolder, Url, client
from atelier.cli.output import fail
from atelier.cli.results import save_output
from atelier.cli.terminal.progress import cancel_on_interrupt


def paint(
    model: Model = None,
    to: OutFolder = Path(),
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Type prompts, see each image form, and get its file.

    A line like `/seed 7` or `/style noto` sets a param, until `/seed` alone unsets it. Ctrl-C stops
    an image; at the prompt it leaves, as do Ctrl-D and `/quit`.
    """
    from atelier.cli.terminal.paint_repl import PaintRepl

    with client(url, api_key) as service:
        PaintRepl(service, to, {} if model is None else {"model": model}).run()


def write(
    story: Annotated[str | None, typer.Option(help="Write a story about this, and end.")] = None,
    poem: Annotated[str | None, typer.Option(help="Write a poem about this, and end.")] = None,
    continue_: Annotated[
        str | None,
        typer.Option("--continue", help="Go on from this text (-: standard input), and end."),
    ] = None,
    style: Annotated[
        str | None, typer.Option(help="ode, fable, fairy tale, or any other words.")
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(help="A poem's: haiku, limerick, sonnet, couplet, acrostic, free verse."),
    ] = None,
    acrostic: Annotated[
        str | None, typer.Option(help="The word that an acrostic's first letters spell.")
    ] = None,
    lines: Annotated[int | None, typer.Option(help="Of a couplet or free verse.")] = None,
    model: Model = None,
    seed: Annotated[int | None, typer.Option(help="A seed repeats its text.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Tokens to write at most.")] = None,
    temperature: Annotated[float | None, typer.Option(help="How freely: 0 is not at all.")] = None,
    to: Annotated[Path | None, typer.Option("--out", help="Folder to keep texts in too.")] = None,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Write texts with a model, and see each one while it is written.

    With --story, --poem or --continue it writes one text to standard output, for scripts.
    """
    from atelier.cli.terminal.write_repl import WriteRepl, print_text

    params = {
        "style": style,
        "form": form,
        "acrostic": acrostic,
        "lines": lines,
        "model": model,
        "seed": seed,
        "max_tokens": max_tokens,
        "temperature": temperature,
    }
    params = {k: v for k, v in params.items() if v is not None}
    texts = (
        ("story", "prompt", story),
        ("poem", "prompt", poem),
        ("continuation", "text", _text(continue_)),
    )
    once = [{"kind": kind, name: text} for kind, name, text in texts if text is not None]
    if len(once) > 1:
        raise fail("--story, --poem and --continue are one text each: give one of them", 2)
    with client(url, api_key) as service:
        if not once:
            WriteRepl(service, to, params).run()
            return
        job = service.submit("story", params | once[0])
        with cancel_on_interrupt(job, keep=False):
            print_text(job)
        if to is not None:
            paths = [str(save_output(output, to, job.model)) for output in job.outputs]
            print(*paths, sep="\n", file=sys.stderr)


def _text(text: str | None) -> str | None:
    """Returns the text, or for `-` all of standard input."""
    if text != "-":
        return text
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise fail(
            f"standard input is not UTF-8: {error.reason} at byte {error.start}", 2
        ) from None
