"""The interactive mode: words in, a picture that forms before one's eyes, and a file."""

import base64
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.style import Style
from rich.text import Text

from atelier.cli_jobs import save
from atelier.cli_say import as_value
from atelier.errors import AtelierError

if TYPE_CHECKING:
    from atelier.client import Client
    from atelier.jobs import Job
    from atelier.sse import Event

COLUMNS = 48  # of a picture in the terminal
HELP = (
    "type what to paint; /NAME VALUE sets a param (seed, style, steps, guidance_scale, ...), "
    "/NAME alone unsets it; /quit leaves"
)


class Easel:
    """One sitting: the params that were set hold for every picture until they are unset."""

    def __init__(self, service: "Client", folder: Path, params: dict[str, Any]) -> None:
        self._service, self._folder, self.params = service, folder, params
        self._out, self._err = Console(), Console(stderr=True)

    def work(self) -> None:
        """Until there are no more words."""
        if sys.stdin.isatty():
            self._out.print(HELP, style="dim")
        for line in self._lines():
            if line in ("/quit", "/exit"):
                return
            try:
                self._obey(line) if line.startswith("/") else self._paint(line)
            except AtelierError as error:
                self._err.print(f"atelier: {error}", markup=False)

    def _lines(self) -> Iterator[str]:
        ask = "paint> " if sys.stdin.isatty() else ""
        while True:
            try:
                line = input(ask).strip()
            except (EOFError, KeyboardInterrupt):
                return
            if line:
                yield line

    def _obey(self, line: str) -> None:
        name, _, value = line[1:].partition(" ")
        if name in ("", "help"):
            self._out.print(HELP, style="dim")
        elif value.strip():
            self.params[name] = as_value(value.strip())
        else:
            self.params.pop(name, None)

    def _paint(self, prompt: str) -> None:
        job = self._service.text_to_image(prompt, **self.params)
        try:
            self._watch(job)
            job.wait()
        except KeyboardInterrupt:
            job.cancel()
            self._out.print("canceled")
            return
        for output in job.outputs:
            if self._err.is_terminal and output.role == "picture":
                self._err.print(drawn(output.read(), COLUMNS) or "")
            self._out.print(
                str(save(output, self._folder, job.model)), markup=False, soft_wrap=True
            )
            for note in output.notes:
                self._err.print(f"atelier: {note}", markup=False)

    def _watch(self, job: "Job") -> None:
        """The bar moves and the picture forms as the job's events come in; on a terminal alone."""
        if not self._err.is_terminal:
            return
        picture: RenderableType = ""
        with Live(console=self._err, transient=True, refresh_per_second=10) as live:
            for event in job.events():
                picture = previewed(event) or picture
                bar = ProgressBar(total=1.0, completed=job.progress.value, width=COLUMNS)
                live.update(Group(picture, bar, Text(job.status, style="dim")))


def previewed(event: "Event") -> Text | None:
    """The picture that a preview event brings."""
    url = str(event.data.get("url", ""))
    if event.name != "preview" or not url.startswith("data:"):
        return None
    return drawn(base64.b64decode(url.partition(",")[2]), COLUMNS)


def drawn(data: bytes, columns: int) -> Text | None:
    """A picture as text, two pixels a character; None if it can't be read here."""
    try:
        from PIL import Image
    except ModuleNotFoundError:
        return None
    try:
        picture = Image.open(io.BytesIO(data)).convert("RGB")
    except OSError:
        return None
    height = max(2, round(picture.height * columns / picture.width / 2) * 2)
    pixels: Any = picture.resize((columns, height)).load()
    text = Text()
    for y in range(0, height, 2):
        for x in range(columns):
            upper, lower = ("#{:02x}{:02x}{:02x}".format(*pixels[x, row]) for row in (y, y + 1))
            text.append("▀", Style(color=upper, bgcolor=lower))
        text.append("\n")
    return text
