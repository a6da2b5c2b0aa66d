"""`atelier generate story` and `write`: texts from words, on the screen as they are written."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from atelier.cli.jobs import ApiKey, AsJson, Keep, Url, carry_out, client, merged, save, submitted
from atelier.cli.output import fail
from atelier.cli.progress import cancel_on_interrupt

Model = Annotated[str | None, typer.Option(help="Model; see `atelier models`.")]
Style = Annotated[str | None, typer.Option(help="haiku, sonnet, fairy tale, or any other words.")]
Seed = Annotated[int | None, typer.Option(help="A seed repeats its text.")]
MaxTokens = Annotated[int | None, typer.Option(help="Tokens to write at most.")]
Temperature = Annotated[float | None, typer.Option(help="How freely: 0 is not at all.")]


def story(
    prompt: Annotated[str | None, typer.Argument(help="What to write about.")] = None,
    kind: Annotated[str | None, typer.Option(help="story, poem, continuation.")] = None,
    text: Annotated[str | None, typer.Option(help="What to go on from.")] = None,
    style: Style = None,
    title: Annotated[str | None, typer.Option(help="Its title; else the model finds one.")] = None,
    model: Model = None,
    n: Annotated[int, typer.Option("--n", "-n", help="How many.")] = 1,
    seed: Seed = None,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    param: Annotated[list[str] | None, typer.Option(help="key=value, as often as needed.")] = None,
    output_format: Annotated[str | None, typer.Option(help="txt or md.")] = None,
    to: Annotated[Path, typer.Option("--out", help="Folder for the files.")] = Path(),
    detach: Annotated[bool, typer.Option(help="Print the job's id and don't wait.")] = False,
    keep: Keep = False,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Write texts and save them as MODEL-SEED.txt."""
    common = {"model": model, "n": n, "seed": seed, "output_format": output_format}
    own = {
        "prompt": prompt,
        "kind": kind,
        "text": text,
        "style": style,
        "title": title,
        "max_tokens": max_tokens,
        "temperature": temperature,
    }
    body = merged(common | own, common, param or [])
    with client(url, api_key) as service:
        carry_out(service, "story", body, {}, to, detach, as_json, keep)


def write(
    story: Annotated[str | None, typer.Option(help="Write a story about this, and end.")] = None,
    poem: Annotated[str | None, typer.Option(help="Write a poem about this, and end.")] = None,
    continue_: Annotated[
        str | None,
        typer.Option("--continue", help="Go on from this text (-: standard input), and end."),
    ] = None,
    style: Style = None,
    model: Model = None,
    seed: Seed = None,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    to: Annotated[Path | None, typer.Option("--out", help="Folder to keep texts in too.")] = None,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Write with a model, a text after another, each on the screen as it is written.

    With --story, --poem or --continue it is one text on standard output, for scripts.
    """
    from atelier.cli.write_repl import WriteRepl, show

    params: dict[str, Any] = {
        "style": style,
        "model": model,
        "seed": seed,
        "max_tokens": max_tokens,
        "temperature": temperature,
    }
    given = {k: v for k, v in params.items() if v is not None}
    once = [
        {"kind": kind, name: said}
        for kind, name, said in (
            ("story", "prompt", story),
            ("poem", "prompt", poem),
            ("continuation", "text", _read(continue_)),
        )
        if said is not None
    ]
    if len(once) > 1:
        raise fail("--story, --poem and --continue are one text each: give one of them", 2)
    with client(url, api_key) as service:
        if not once:
            WriteRepl(service, to, given).work()
            return
        job = submitted(service, "story", given | once[0], {})
        with cancel_on_interrupt(job, keep=False):
            show(job)
        if to is not None:
            paths = [str(save(output, to, job.model)) for output in job.outputs]
            print(*paths, sep="\n", file=sys.stderr)


def _read(text: str | None) -> str | None:
    """The text itself, or all of standard input for `-`."""
    if text != "-":
        return text
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise fail(
            f"standard input is not UTF-8: {error.reason} at byte {error.start}", 2
        ) from None
