"""The interactive mode: words in, a picture that forms before one's eyes, and a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from atelier.cli.results import save
from atelier.cli.terminal.repl import Sitting
from atelier.cli.terminal.terminal_image import Canvas

if TYPE_CHECKING:
    from atelier.client.client import Client

PROMPT = "paint> "
HELP = """type what to paint; Ctrl-C stops a picture, /quit leaves
/steps 20 sets a param (or /seed, /style, ...), /steps unsets it, / lists them"""


class PaintRepl:
    """One sitting: the params that were set hold for every picture until they are unset."""

    def __init__(self, service: "Client", folder: Path, params: dict[str, Any]) -> None:
        self._service, self._folder = service, folder
        self._sitting = Sitting(PROMPT, HELP, "prompt", params)
        self._canvas = Canvas(self._sitting.console)

    def run(self) -> None:
        """Until there are no more words. Raises AtelierError where nobody answers, the key is
        refused or there is no such model, before the first of them."""
        model = self._sitting.params.get("model")
        self._service.models() if model is None else self._service.model(model)
        self._sitting.each(self._paint)

    def _paint(self, prompt: str) -> None:
        job = self._service.submit("text-to-image", self._sitting.params | {"prompt": prompt})
        try:
            self._canvas.watch(job)
            job.wait()
        except KeyboardInterrupt:
            job.cancel()
            self._sitting.say("canceled")
            return
        for output in job.outputs:
            if output.role == "picture":
                self._canvas.show(output.read())
            print(save(output, self._folder, job.model), flush=True)
            for note in output.notes:
                self._sitting.say(f"atelier: {note}")
