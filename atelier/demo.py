"""`make demo`: start the whole service, make one thing of every kind, say where it lies, stop."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from atelier.cli_jobs import follow, save
from atelier.client import Client
from atelier.up import free_port

FOLDER = Path("demo")
HOST = "127.0.0.1"
SEED, COUNT = 7, 8

out = Console()


def wait_until_ready(service: subprocess.Popen[str]) -> None:
    """Read what the supervisor prints until it says that it is ready."""
    assert service.stdout is not None
    line = service.stdout.readline()
    if not line.startswith("ready"):
        raise SystemExit("atelier: the service did not start; demo/service.log says why")


def make_everything(url: str, folder: Path) -> int:
    """One sheet's worth of pictures from every model that makes pictures."""
    made = 0
    with Client(url) as client:
        for card in client.models():
            start = time.monotonic()
            job = client.image(model=card["id"], n=COUNT, seed=SEED)
            follow(job)
            job.wait()
            paths = [save(output, folder, card["id"]) for output in job.outputs]
            took = time.monotonic() - start
            out.print(f"[bold]{card['id']}[/]: {len(paths)} pictures in {took:.1f} s")
            for path in paths:
                out.print(f"  {path}")
            made += len(paths)
    return made


def main() -> None:
    """Everything lies in ./demo afterwards; the service's own state is thrown away."""
    FOLDER.mkdir(exist_ok=True)
    url = f"http://{HOST}:{(port := free_port(HOST))}"
    with tempfile.TemporaryDirectory(prefix="atelier-") as state:
        command = [sys.executable, "-m", "atelier", "up", "--port", str(port), "--state", state]
        with (FOLDER / "service.log").open("w") as log:
            out.print("starting the service ...")
            service = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ
            )
            try:
                wait_until_ready(service)
                made = make_everything(url, FOLDER)
            finally:
                service.send_signal(signal.SIGTERM)
                service.wait()
    out.print(
        f"{made} pictures lie in {FOLDER.resolve()}; `make serve` starts a service that stays"
    )


if __name__ == "__main__":
    main()
