"""A prompt that reads lines, and the params that hold until they are unset.

1. Standard output has results alone; everything else goes to standard error.
2. No error of one line ends the session, nor does Ctrl-C while it runs.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rich.console import Console

from atelier.cli.output import as_value
from atelier.client.errors import AtelierError, BadRequestError

if TYPE_CHECKING:
    from atelier.client.client import Client

LEAVING = ("/quit", "/exit")


class Repl:
    """`/seed 7` sets a param, `/seed` unsets it, `/` lists them. Other lines are prompts."""

    def __init__(self, prompt: str, help_: str, params: dict[str, Any]) -> None:
        self._prompt, self._help, self.params = prompt, help_, params
        self.console = Console(stderr=True, markup=False, emoji=False, highlight=False)

    def run(
        self, service: "Client", act: Callable[[str], None], leaving: tuple[str, ...] = LEAVING
    ) -> None:
        """Acts on each line until the input ends or a line says so.

        Raises AtelierError before the first line if the service does not answer, refuses the key
        or has no such model.
        """
        model = self.params.get("model")
        service.models() if model is None else service.model(model)
        if sys.stdin.isatty():
            self.say(self._help, style="dim")
        for line in self._lines():
            if line in leaving:
                return
            try:
                self._set_param(line) if line.startswith("/") else act(line)
            except BadRequestError as error:
                self.say(f"atelier: {error}")
                self._unset(error.param)
            except (AtelierError, OSError) as error:
                self.say(f"atelier: {error}")
            except KeyboardInterrupt:
                self.say("stopped")

    def say(self, text: str, style: str | None = None) -> None:
        """Prints whole words a line on a terminal, one line for each message elsewhere."""
        self.console.print(text, style=style, soft_wrap=not self.console.is_terminal)

    def _lines(self) -> Iterator[str]:
        if sys.stdin.isatty() and sys.stdout.isatty():
            with suppress(ModuleNotFoundError):
                import readline  # noqa: F401  (from then on `input` edits lines and recalls them)
        while True:
            try:
                line = self._input().strip()
            except (EOFError, KeyboardInterrupt):
                if sys.stdin.isatty():
                    self.say("")  # what comes next begins a line
                return
            if line:
                yield line

    def _input(self) -> str:
        if sys.stdin.isatty() and sys.stdout.isatty():
            return input(self._prompt)
        if sys.stdin.isatty():
            self.console.print(self._prompt, end="")
        return input()

    def _set_param(self, line: str) -> None:
        name, _, value = line[1:].partition(" ")
        if name in ("", "help"):
            params = ", ".join(f"{k} {v}" for k, v in self.params.items()) or "nothing"
            self.say(f"{self._help}\nset: {params}", style="dim")
        elif name == "prompt":
            self.say("atelier: the prompt is what is typed without /prompt")
        elif value.strip():
            self.params[name] = as_value(value.strip())
        else:
            self.params.pop(name, None)

    def _unset(self, param: str | None) -> None:
        """Unsets a refused param, which would be refused with every other line as well."""
        name = (param or "").partition(".")[0]
        if name in self.params:
            del self.params[name]
            self.say(f"atelier: {name} is unset")
