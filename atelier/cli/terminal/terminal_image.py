"""A job on a terminal: a progress bar, and the image as it forms, two pixels a character."""

import base64
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.style import Style
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from atelier.client.jobs import Job
    from atelier.client.sse import Event

COLUMNS = 48  # of a picture, at most
FREE_LINES = 3  # for the bar, then the file's name and the next prompt
TEXT_COLUMNS = 14  # beside the bar


class JobDisplay:
    """Shows a bar on any terminal, and images on one with colours."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._colours = console.color_system is not None and not console.no_color
        self._colours &= console.is_terminal and not console.options.ascii_only

    def watch(self, job: "Job") -> None:
        """Follows a job to its end, if there is a terminal to show it on. Raises AtelierError."""
        if not self._console.is_terminal:
            return
        picture: RenderableType = ""
        live = Live(self._bar(job), console=self._console, transient=True, refresh_per_second=10)
        with unechoed(), live:
            for event in job.events():
                picture = self._preview(event) or picture
                live.update(Group(picture, self._bar(job)) if picture else self._bar(job))

    def show(self, data: bytes) -> None:
        """Prints the image in a file."""
        if picture := self._image(data):
            self._console.print(picture)

    def _bar(self, job: "Job") -> Table:
        """Returns a bar, which pulses while the progress is unknown."""
        progress, unknown = job.progress, job.progress.steps == 0
        width = max(1, min(COLUMNS, self._console.width - TEXT_COLUMNS))
        bar = ProgressBar(total=1.0, completed=progress.value, width=width, pulse=unknown)
        text = job.status.replace("_", " ") if unknown else f"{progress.step}/{progress.steps}"
        line = Table.grid(padding=(0, 1))
        line.add_row(bar, Text(text, style="dim", no_wrap=True))
        return line

    def _preview(self, event: "Event") -> Text | None:
        """Returns the image of a preview event."""
        url = str(event.data.get("url", ""))
        if event.name != "preview" or not url.startswith("data:"):
            return None
        return self._image(base64.b64decode(url.partition(",")[2]))

    def _image(self, data: bytes) -> Text | None:
        if not self._colours:
            return None
        width, height = self._console.size
        return as_text(data, min(COLUMNS, width), max(1, height - FREE_LINES))


def as_text(data: bytes, columns: int, lines: int) -> Text | None:
    """Returns an image as text, as large as fits; None where it can't be read."""
    try:
        from PIL import Image
    except ModuleNotFoundError:
        return None
    try:
        picture = Image.open(io.BytesIO(data)).convert("RGB")
    except OSError:
        return None
    scale = min(columns / picture.width, 2 * lines / picture.height)
    width = max(1, round(picture.width * scale))
    height = max(2, round(picture.height * scale / 2) * 2)
    pixels: Any = picture.resize((width, height)).load()
    text = Text(no_wrap=True)
    for y in range(0, height, 2):
        text.append("\n" if y else "")
        for x in range(width):
            upper, lower = ("#{:02x}{:02x}{:02x}".format(*pixels[x, row]) for row in (y, y + 1))
            text.append("▀", Style(color=upper, bgcolor=lower))
    return text


@contextmanager
def unechoed() -> Iterator[None]:
    """Within, keys that are pressed wait for the next line, and don't show in the image.

    Ctrl-C discards them. By itself a terminal would discard the output too, and Linux then leaves
    a thread that waits to write asleep for ever.
    """
    try:
        import termios
    except ModuleNotFoundError:  # a system without terminals of this kind
        yield
        return
    if not sys.stdin.isatty():
        yield
        return
    stdin = sys.stdin.fileno()
    before, quiet = termios.tcgetattr(stdin), termios.tcgetattr(stdin)
    quiet[3] = quiet[3] & ~termios.ECHO | termios.NOFLSH
    termios.tcsetattr(stdin, termios.TCSADRAIN, quiet)
    try:
        yield
    except KeyboardInterrupt:
        termios.tcflush(stdin, termios.TCIFLUSH)
        raise
    finally:
        termios.tcsetattr(stdin, termios.TCSADRAIN, before)
