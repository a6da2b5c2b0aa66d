"""`atelier write`: stories, poems and continuations, on the screen while they are written."""

import re
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atelier.cli.results import save_output
from atelier.cli.terminal.repl import LEAVING, Repl
from atelier.client.errors import AtelierError, JobError

if TYPE_CHECKING:
    from atelier.client.client import Client
    from atelier.client.jobs import Job

PROMPT = "write> "
HELP = """story a clock that runs backwards    poem autumn    continue The door was open, but
continue alone goes on with what was written last; Ctrl-C stops a text, quit leaves
/style fable sets a param (or /form, /max_tokens, /temperature, ...), /style unsets it, / lists
them"""
QUITTING = (*LEAVING, "quit", "exit")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # a terminal would obey them
TOO_LONG, SHORT = "context_length_exceeded", 200  # letters that always fit, with some to write
CUT_WORD = re.compile(r"\A\S{0,30}\s")  # the rest of a word that was cut
OF_POEMS = {"form", "acrostic", "lines"}  # params that only poems take
OF_WORKS = OF_POEMS | {"style", "title"}  # those that only stories and poems take


class WriteRepl:
    def __init__(self, service: "Client", folder: Path | None, params: dict[str, Any]) -> None:
        self._service, self._folder = service, folder
        self._repl = Repl(PROMPT, HELP, params)
        self._text = ""  # what was written last, after what it continues

    def run(self) -> None:
        """Writes for each line. Raises AtelierError before the first, as Repl.run does."""
        self._repl.run(self._service, self._write_line, QUITTING)

    def _write_line(self, line: str) -> None:
        command, _, rest = line.partition(" ")
        rest = rest.strip()
        if command in ("story", "poem") and rest:
            params = dict(self._repl.params)
            if command == "story":
                params = {k: v for k, v in params.items() if k not in OF_POEMS}
            self._write({**params, "kind": command, "prompt": rest})
        elif command == "continue" and (rest or self._text):
            self._continue(rest or self._text)
        else:
            self._repl.say(f"atelier: {line} is none of these:\n{HELP}")

    def _continue(self, whole: str) -> None:
        """Continues a text, or its last part if it is too long for the model."""
        params = {k: v for k, v in self._repl.params.items() if k not in OF_WORKS}
        text = whole
        while True:
            try:
                self._write({**params, "kind": "continuation", "text": text}, after=whole)
                return
            except JobError as error:
                if error.code != TOO_LONG or len(text) < SHORT:
                    raise
                half = text[len(text) // 2 :]
                text = CUT_WORD.sub("", half)
                text = text if text.strip() else half
                self._repl.say(f"(too long: going on from its last {len(text)} letters)")

    def _write(self, body: dict[str, Any], after: str = "") -> None:
        """Shows a text while it is written, and saves it if there is a folder for it."""
        job = self._service.submit("story", body)
        try:
            text = print_text(job)
        except KeyboardInterrupt:
            self._repl.say("\ncanceled")
            return
        self._text = after + text
        for output in job.outputs:
            if output.title:
                self._repl.say(f"({output.title})", style="dim")
            if self._folder is not None:
                self._repl.say(str(save_output(output, self._folder, job.model)))


def print_text(job: "Job") -> str:
    """Prints the first text of a job while it is written, and returns it. Raises AtelierError.

    Ctrl-C or a closed pipe cancels the job.
    """
    text = ""
    try:
        with closing(job.deltas()) as deltas:
            for delta in deltas:
                text += delta
                sys.stdout.write(CONTROL.sub("\ufffd", delta) if sys.stdout.isatty() else delta)
                sys.stdout.flush()
        print(flush=True)
    except (KeyboardInterrupt, OSError):
        with suppress(AtelierError):
            job.cancel()
        raise
    return text
