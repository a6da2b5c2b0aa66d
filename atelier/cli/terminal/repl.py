"""Lines typed at a prompt, one after another, and the params that hold until they are unset.

1. Standard output has results alone; all else goes to standard error.
2. Nothing that goes wrong with one line ends the sitting, Ctrl-C meanwhile included.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from rich.console import Console

from atelier.cli.output import as_value
from atelier.client.errors import AtelierError, BadRequestError

LEAVING = ("/quit", "/exit")


class Sitting:
    """A line such as `/seed 7` sets a param, `/seed` unsets it, `/` lists them; others are work."""

    def __init__(self, prompt: str, help_: str, own: str, params: dict[str, Any]) -> None:
        """`own` is the param that lines themselves are."""
        self._prompt, self._help, self._own, self.params = prompt, help_, own, params
        self.console = Console(stderr=True, markup=False, emoji=False, highlight=False)

    def each(self, act: Callable[[str], None], leaving: tuple[str, ...] = LEAVING) -> None:
        """Act on every line until there are no more, or one says so."""
        if sys.stdin.isatty():
            self.say(self._help, style="dim")
        for line in self._lines():
            if line in leaving:
                return
            try:
                self._obey(line) if line.startswith("/") else act(line)
            except BadRequestError as error:
                self.say(f"atelier: {error}")
                self._drop(error.param)
            except (AtelierError, OSError) as error:
                self.say(f"atelier: {error}")
            except KeyboardInterrupt:
                self.say("stopped")

    def say(self, text: str, style: str | None = None) -> None:
        """Whole words a line on a terminal; one line for each message elsewhere."""
        self.console.print(text, style=style, soft_wrap=not self.console.is_terminal)

    def _lines(self) -> Iterator[str]:
        if sys.stdin.isatty() and sys.stdout.isatty():
            with suppress(ModuleNotFoundError):
                import readline  # noqa: F401  (from then on `input` edits lines and recalls them)
        while True:
            try:
                line = self._asked().strip()
            except (EOFError, KeyboardInterrupt):
                if sys.stdin.isatty():
                    self.say("")  # what comes next begins a line
                return
            if line:
                yield line

    def _asked(self) -> str:
        if not sys.stdin.isatty():
            return input()
        if sys.stdout.isatty():
            return input(self._prompt)
        self.console.print(self._prompt, end="")
        return input()

    def _obey(self, line: str) -> None:
        name, _, value = line[1:].partition(" ")
        if name in ("", "help"):
            told = ", ".join(f"{k} {v}" for k, v in self.params.items()) or "nothing"
            self.say(f"{self._help}\nset: {told}", style="dim")
        elif name == self._own:
            self.say(f"atelier: the {name} is what is typed without /{name}")
        elif value.strip():
            self.params[name] = as_value(value.strip())
        else:
            self.params.pop(name, None)

    def _drop(self, param: str | None) -> None:
        """What was refused would be refused of every other line as well."""
        name = (param or "").partition(".")[0]
        if name in self.params:
            del self.params[name]
            self.say(f"atelier: {name} is unset")
