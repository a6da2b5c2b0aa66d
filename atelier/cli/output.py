"""What all commands share: how they fail, how they print, and the settings they start from."""

import json
import sys
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from app.core.settings import Settings


def fail(message: str, status: int = 1) -> typer.Exit:
    """One clear line, and the exit to raise."""
    print(f"atelier: {message}", file=sys.stderr)
    return typer.Exit(status)


def as_value(text: str) -> Any:
    """JSON where it reads as JSON, else text; NaN, Infinity and 1e999 are text."""
    try:
        value = json.loads(text)
        json.dumps(value, allow_nan=False)
    except ValueError:
        return text
    return value


def show_json(data: Any) -> None:
    print(json.dumps(data, indent=2, ensure_ascii=False))


def show_rows(rows: list[tuple[str, ...]]) -> None:
    """Columns wide enough for their longest cell: nothing is cut, so that it can be piped."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def settings_with(**given: Any) -> "Settings":
    """The settings of the environment, changed by the options that were given."""
    from app.core.settings import EX_CONFIG, Misconfigured, read_settings

    try:
        return read_settings(**{k: v for k, v in given.items() if v is not None})
    except Misconfigured as error:
        raise fail(str(error), EX_CONFIG) from None
