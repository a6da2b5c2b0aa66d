"""The interactive mode: words in, a picture that forms before one's eyes, and a file.

1. Standard output has the files' names alone; all else goes to standard error.
2. Nothing that goes wrong with one picture ends the sitting, Ctrl-C meanwhile included.
"""

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from atelier.canvas import Canvas
from atelier.cli_jobs import save
from atelier.cli_say import as_value
from atelier.errors import AtelierError, BadRequestError

if TYPE_CHECKING:
    from atelier.client import Client

PROMPT = "paint> "
HELP = """type what to paint; Ctrl-C stops a picture, /quit leaves
/steps 20 sets a param (or /seed, /style, ...), /steps unsets it, / lists them"""


class Easel:
    """One sitting: the params that were set hold for every picture until they are unset."""

    def __init__(self, service: "Client", folder: Path, params: dict[str, Any]) -> None:
        self._service, self._folder, self.params = service, folder, params
        self._console = Console(stderr=True, markup=False, emoji=False, highlight=False)
        self._canvas = Canvas(self._console)

    def work(self) -> None:
        """Until there are no more words. Raises AtelierError where nobody answers, the key is
        refused or there is no such model, before the first of them."""
        model = self.params.get("model")
        self._service.models() if model is None else self._service.model(model)
        if sys.stdin.isatty():
            self._say(HELP, style="dim")
        for line in self._lines():
            if line in ("/quit", "/exit"):
                return
            try:
                self._obey(line) if line.startswith("/") else self._paint(line)
            except BadRequestError as error:
                self._say(f"atelier: {error}")
                self._drop(error.param)
            except (AtelierError, OSError) as error:
                self._say(f"atelier: {error}")
            except KeyboardInterrupt:
                self._say("stopped")

    def _lines(self) -> Iterator[str]:
        if sys.stdin.isatty() and sys.stdout.isatty():
            with suppress(ModuleNotFoundError):
                import readline  # noqa: F401  (from then on `input` edits lines and recalls them)
        while True:
            try:
                line = self._asked().strip()
            except (EOFError, KeyboardInterrupt):
                if sys.stdin.isatty():
                    self._say("")  # what comes next begins a line
                return
            if line:
                yield line

    def _asked(self) -> str:
        if not sys.stdin.isatty():
            return input()
        if sys.stdout.isatty():
            return input(PROMPT)
        self._console.print(PROMPT, end="")
        return input()

    def _obey(self, line: str) -> None:
        name, _, value = line[1:].partition(" ")
        if name in ("", "help"):
            told = ", ".join(f"{k} {v}" for k, v in self.params.items()) or "nothing"
            self._say(f"{HELP}\nset: {told}", style="dim")
        elif name == "prompt":
            self._say("atelier: the prompt is what is typed without /prompt")
        elif value.strip():
            self.params[name] = as_value(value.strip())
        else:
            self.params.pop(name, None)

    def _drop(self, param: str | None) -> None:
        """What was refused would be refused of every other picture as well."""
        name = (param or "").partition(".")[0]
        if name in self.params:
            del self.params[name]
            self._say(f"atelier: {name} is unset")

    def _paint(self, prompt: str) -> None:
        job = self._service.submit("text-to-image", self.params | {"prompt": prompt})
        try:
            self._canvas.watch(job)
            job.wait()
        except KeyboardInterrupt:
            job.cancel()
            self._say("canceled")
            return
        for output in job.outputs:
            if output.role == "picture":
                self._canvas.show(output.read())
            print(save(output, self._folder, job.model), flush=True)
            for note in output.notes:
                self._say(f"atelier: {note}")

    def _say(self, text: str, style: str | None = None) -> None:
        """Whole words a line on a terminal; one line for each message elsewhere."""
        self._console.print(text, style=style, soft_wrap=not self._console.is_terminal)
