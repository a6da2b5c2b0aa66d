"""How far the building of music has come: a bar a style in a terminal, else lines for a log."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from training.loop.log_lines import now_and_then

Show = Callable[[str, float], None]
"""Takes a style and the number of its minutes so far."""


@contextmanager
def showing(minutes: float) -> Iterator[Show]:
    """Shows progress on standard error, up to `minutes` a style."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lines(minutes)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:g} minutes"),
        TimeRemainingColumn(),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console) as progress:

        def show(style: str, done: float) -> None:
            if style not in tasks:
                tasks[style] = progress.add_task(style, total=minutes)
            progress.update(tasks[style], completed=min(done, minutes))

        yield show


def lines(minutes: float) -> Show:
    """A line every half minute, and when a style is done."""
    tell = now_and_then()

    def show(style: str, done: float) -> None:
        tell(f"{style}: {min(done, minutes):.1f} of {minutes:g} minutes", done >= minutes)

    return show
