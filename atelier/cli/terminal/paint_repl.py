"""`atelier paint`: prompts in, images that form on the screen, and their files."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from atelier.cli.results import save_output
from atelier.cli.terminal.repl import Repl
from atelier.cli.terminal.terminal_image import JobDisplay

if TYPE_CHECKING:
    from atelier.client.client import Client

PROMPT = "paint> "
HELP = """type what to paint; Ctrl-C stops a picture, /quit leaves
/steps 20 sets a param (or /seed, /style, ...), /steps unsets it, / lists them"""


class PaintRepl:
    def __init__(self, service: "Client", folder: Path, params: dict[str, Any]) -> None:
        self._service, self._folder = service, folder
        self._repl = Repl(PROMPT, HELP, params)
        self._display = JobDisplay(self._repl.console)

    def run(self) -> None:
        """Paints each line. Raises AtelierError before the first, as Repl.run does."""
        self._repl.run(self._service, self._paint)

    def _paint(self, prompt: str) -> None:
        job = self._service.submit("text-to-image", self._repl.params | {"prompt": prompt})
        try:
            self._display.watch(job)
            job.wait()
        except KeyboardInterrupt:
            job.cancel()
            self._repl.say("canceled")
            return
        for output in job.outputs:
            if output.role == "picture":
                self._display.show(output.read())
            print(save_output(output, self._folder, job.model), flush=True)
            for note in output.notes:
                self._repl.say(f"atelier: {note}")
