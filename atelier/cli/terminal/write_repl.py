"""The writing assistant: stories, poems and continuations, on the screen as they are written."""

import re
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atelier.cli.results import save
from atelier.cli.terminal.repl import LEAVING, Sitting
from atelier.client.errors import AtelierError, JobError

if TYPE_CHECKING:
    from atelier.client.client import Client
    from atelier.client.jobs import Job

PROMPT = "write> "
HELP = """story a clock that runs backwards    poem autumn    continue The door was open, but
continue alone goes on with what was written last; Ctrl-C stops a text, quit leaves
/style haiku sets a param (or /max_tokens, /temperature, /seed, ...), /style unsets it, / lists
them"""
QUITTING = (*LEAVING, "quit", "exit")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # a terminal would obey them
TOO_LONG, SHORT = "context_length_exceeded", 200  # letters that always fit, with some to write
WORD = re.compile(r"\A\S{0,30}\s")  # what is left of one that was cut
OF_WORKS = {"style", "title"}  # params that only stories and poems take


class WriteRepl:
    """One sitting: the params that were set hold for every text until they are unset."""

    def __init__(self, service: "Client", folder: Path | None, params: dict[str, Any]) -> None:
        self._service, self._folder = service, folder
        self._sitting = Sitting(PROMPT, HELP, "prompt", params)
        self._last = ""

    def run(self) -> None:
        """Until there are no more lines. Raises AtelierError where nobody answers, the key is
        refused or there is no such model, before the first of them."""
        model = self._sitting.params.get("model")
        self._service.models() if model is None else self._service.model(model)
        self._sitting.each(self._take, QUITTING)

    def _take(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        params, rest = self._sitting.params, rest.strip()
        if word in ("story", "poem") and rest:
            self._write({**params, "kind": word, "prompt": rest})
        elif word == "continue" and (rest or self._last):
            self._continue(rest)
        else:
            self._sitting.say(f"atelier: {line} is none of these:\n{HELP}")

    def _continue(self, text: str) -> None:
        whole = text or self._last
        params = {k: v for k, v in self._sitting.params.items() if k not in OF_WORKS}
        before, written = whole, None
        while written is None:
            try:
                body = {**params, "kind": "continuation", "text": before}
                written = self._write(body, after=whole)
            except JobError as error:
                if error.code != TOO_LONG or len(before) < SHORT:
                    raise
                half = before[len(before) // 2 :]
                before = WORD.sub("", half) if WORD.sub("", half).strip() else half
                self._sitting.say(f"(too long: going on from its last {len(before)} letters)")

    def _write(self, body: dict[str, Any], after: str = "") -> str:
        """Show a text as it is written, and keep it if there is a folder for it. What is gone on
        from next is that, after what it goes on from itself."""
        job = self._service.submit("story", body)
        try:
            written = show(job)
        except KeyboardInterrupt:
            self._sitting.say("\ncanceled")
            return ""
        self._last = after + written
        for output in job.outputs:
            if output.title:
                self._sitting.say(f"({output.title})", style="dim")
            if self._folder is not None:
                self._sitting.say(str(save(output, self._folder, job.model)))
        return written


def show(job: "Job") -> str:
    """The first text of a job, on standard output as it is written. Raises AtelierError.

    A job whose text nobody reads any more, for a Ctrl-C or a pipe that was closed, is canceled.
    """
    text = ""
    try:
        with closing(job.deltas()) as pieces:
            for piece in pieces:
                text += piece
                sys.stdout.write(CONTROL.sub("\ufffd", piece) if sys.stdout.isatty() else piece)
                sys.stdout.flush()
        print(flush=True)
    except (KeyboardInterrupt, OSError):
        with suppress(AtelierError):
            job.cancel()
        raise
    return text
