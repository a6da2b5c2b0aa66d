"""The options that commands share, and how they become the params of a request."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atelier.cli.output import as_value, fail

if TYPE_CHECKING:
    from atelier.client.client import Client

Url = Annotated[str | None, typer.Option(help="Where the service is.", envvar="ATELIER_URL")]
ApiKey = Annotated[
    str | None, typer.Option(help="Your key, if it wants one.", envvar="ATELIER_API_KEY")
]
Keep = Annotated[
    bool, typer.Option("--keep", help="On Ctrl-C, leave the job running instead of canceling it.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
OutFolder = Annotated[Path, typer.Option("--out", help="Folder for the files.")]
Model = Annotated[str | None, typer.Option(help="Model; see `atelier models`.")]
Params = Annotated[list[str] | None, typer.Option(help="key=value, as often as needed.")]


def client(url: str | None, api_key: str | None) -> "Client":
    from atelier.client.client import Client

    return Client(base_url=url, api_key=api_key)


def parse_params(pairs: list[str]) -> dict[str, Any]:
    """Parses `key=value` options."""
    params: dict[str, Any] = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign or not key:
            raise fail(f"--param wants key=value, not {pair!r}", 2)
        params[key] = as_value(value)
    return params


def merge_params(
    options: dict[str, Any], reserved: Collection[str], pairs: list[str]
) -> dict[str, Any]:
    """Merges the options that were used with `--param` options; none may be there twice."""
    used = {
        name: value for name, value in options.items() if value is not None and value is not False
    }
    params = parse_params(pairs)
    if repeated := (set(reserved) | used.keys()) & params.keys():
        name = min(repeated)
        option = "interpolate-to" if name == "interpolate" else name.replace("_", "-")
        raise fail(f"{name} is an option of its own: --{option}", 2)
    return params | used
