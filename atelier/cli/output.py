"""How all commands fail and print, and the settings they start from."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from app.core.settings import Settings


def fail(message: str, status: int = 1) -> typer.Exit:
    """Prints one line and returns the exit to raise."""
    print(f"atelier: {message}", file=sys.stderr)
    return typer.Exit(status)


@contextmanager
def failing_in_one_line(extra: str, interrupted: str = "stopped") -> Iterator[None]:
    """Within, a package that an extra brings, a checkpoint or a training may fail."""
    from models.checkpoint.header import CheckpointError
    from training.errors import TrainingError

    try:
        yield
    except ModuleNotFoundError as error:
        hint = f"pip install 'atelier-service[{extra}]' brings what this command needs"
        raise fail(f"{hint} ({error.name} is missing)") from None
    except (CheckpointError, TrainingError) as error:
        raise fail(str(error)) from None
    except KeyboardInterrupt:
        raise fail(interrupted, 130) from None


def as_value(text: str) -> Any:
    """Returns parsed JSON, or the text if it is none. NaN, Infinity and 1e999 are text."""
    try:
        value = json.loads(text)
        json.dumps(value, allow_nan=False)
    except ValueError:
        return text
    return value


def show_json(data: Any) -> None:
    print(json.dumps(data, indent=2, ensure_ascii=False))


def show_rows(rows: list[tuple[str, ...]]) -> None:
    """Prints columns as wide as their longest cell. Nothing is cut, so that it can be piped."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def settings_with(**options: Any) -> "Settings":
    """Returns the settings of the environment, changed by the options that are not None."""
    from app.core.settings import EX_CONFIG, Misconfigured, read_settings

    try:
        return read_settings(**{k: v for k, v in options.items() if v is not None})
    except Misconfigured as error:
        raise fail(str(error), EX_CONFIG) from None
