"""`make demo`: starts the whole service, generates something of each kind, and stops."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from app.core.settings import EX_CONFIG, Misconfigured, read_settings
from atelier.cli.results import save_output
from atelier.cli.terminal.progress import follow
from atelier.client.client import Client
from atelier.client.jobs import Job
from atelier.client.requests import Card
from atelier.service.packaged_models import import_missing
from atelier.service.supervisor import free_port

FOLDER = Path("demo")
HOST = "127.0.0.1"
SEED, COUNT, STEPS, SECONDS = 7, 8, 20, 10.0
PROMPTS = ("red apple", "grinning cat", "rocket", "purple apple", "dog in a rocket", "红苹果")
MOVING = ("crying face", "waving hand")
IMAGES = ("image", "text-to-image")
STORIES: tuple[dict[str, Any], ...] = (
    {"prompt": "a lighthouse keeper who befriends a whale", "max_tokens": 600},
    {
        "kind": "poem",
        "prompt": "the first snow",
        "form": "acrostic",
        "acrostic": "WINTER",
        "max_tokens": 400,
    },
)
SERVED_STATE = Path("state")  # of `make serve`, which has the same models

out = Console()


def wait_until_ready(service: subprocess.Popen[str]) -> None:
    """Reads what the supervisor prints until it is ready."""
    assert service.stdout is not None
    line = service.stdout.readline()
    if not line.startswith("ready"):
        raise SystemExit("atelier: the service did not start; demo/service.log says why")


def takes(card: Card, param: str) -> bool:
    return param in card["params"]["properties"]


def requests(card: Card) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yields what to ask a model for: a title, and the params of requests that run together."""
    match card["modality"]:
        case "audio":
            styles = card["labels"] if takes(card, "style") else []
            params = [{"seconds": SECONDS, "style": style} for style in styles]
            yield ", ".join(styles) or "music", params or [{"seconds": SECONDS}]
        case "video":
            yield ", ".join(MOVING), [{"prompt": prompt, "repeat": 2} for prompt in MOVING]
        case "story":
            yield "a story and a poem", [{"output_format": "md", **params} for params in STORIES]
        case "embedding":
            yield f"vectors of {len(PROMPTS)} texts", [{"texts": list(PROMPTS)}]
        case "image" | "text-to-image":
            yield str(COUNT), [{"n": COUNT, "grid": True}]
            if takes(card, "class_label"):
                labels = card["labels"]
                yield ", ".join(labels), [{"class_label": label} for label in labels]
            if takes(card, "prompt"):
                yield ", ".join(PROMPTS), [{"prompt": prompt} for prompt in PROMPTS]


def ask(client: Client, card: Card, params: dict[str, Any]) -> Job:
    """Submits a request, of few steps and with a prompt if the model takes them."""
    defaults: dict[str, Any] = {"model": card["id"], "seed": SEED}
    defaults |= {"steps": STEPS} if takes(card, "steps") else {}
    defaults |= {"prompt": PROMPTS[0]} if takes(card, "prompt") else {}
    return client.submit(card["modality"], defaults | params)


def save_all(folder: Path, title: str, jobs: list[Job]) -> list[Path]:
    """Waits for jobs that run together, saves their outputs, and prints where."""
    start, paths = time.monotonic(), []
    for job in jobs:
        follow(job)
        job.wait()
        paths += [save_output(output, folder, job.model) for output in job.outputs]
    out.print(f"[bold]{title}[/] in {time.monotonic() - start:.1f} s")
    for path in paths:
        out.print(f"  {path}")
    return paths


def make_everything(url: str, folder: Path) -> int:
    """Generates something by each model, an interpolation and a variation; how many files."""
    paths: list[Path] = []
    with Client(url) as client:
        cards = client.models()
        for card in sorted(cards, key=lambda card: card["modality"] not in IMAGES):
            for title, params in requests(card):
                jobs = [ask(client, card, each) for each in params]
                paths += save_all(folder, f"{title} by {card['id']}", jobs)
        images = [card for card in cards if takes(card, "interpolate")]
        for card in images[:1]:
            walk = ask(client, card, {"interpolate": {"to_seed": SEED + 1, "frames": 16}})
            paths += save_all(folder, f"a walk by {walk.model}", [walk])
        for card in [card for card in images if takes(card, "init_image")][:1]:
            varied = ask(client, card, {"init_image": client.upload(paths[0])["sha256"]})
            paths += save_all(folder, f"{paths[0].name} varied by {varied.model}", [varied])
    return len(paths)


def main() -> None:
    """Saves everything in ./demo, and removes the state of the service."""
    FOLDER.mkdir(exist_ok=True)
    url = f"http://{HOST}:{(port := free_port(HOST))}"
    with tempfile.TemporaryDirectory(prefix="atelier-") as state:
        imported, settings = SERVED_STATE.resolve() / "checkpoints", read_settings()
        if settings.packaged_models:
            out.print("importing models that packages carry ...")
            import_missing((settings.checkpoints, imported))
        if imported.is_dir():
            (Path(state) / "checkpoints").symlink_to(imported)
        command = [
            sys.executable,
            "-m",
            "atelier.__main__",
            "up",
            "--port",
            str(port),
            "--state",
            state,
        ]
        with (FOLDER / "service.log").open("w") as log:
            out.print("starting the service ...")
            service = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ
            )
            try:
                wait_until_ready(service)
                count = make_everything(url, FOLDER)
            finally:
                service.send_signal(signal.SIGTERM)
                service.wait()
    out.print(f"{count} files are in {FOLDER.resolve()}; `make serve` starts a service that stays")


if __name__ == "__main__":
    try:
        main()
    except Misconfigured as error:
        print(f"atelier: {error}", file=sys.stderr)
        sys.exit(EX_CONFIG)
