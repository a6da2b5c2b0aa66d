"""`make demo`: start the whole service, make one thing of every kind, say where it lies, stop."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from app.core.settings import EX_CONFIG, Misconfigured, read_settings
from atelier.cli.results import save
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

STORIES: tuple[dict[str, Any], ...] = (
    {"prompt": "a lighthouse keeper who befriends a whale", "max_tokens": 600},
    {"kind": "poem", "prompt": "the first snow", "max_tokens": 200},
)
KEPT = Path("state")  # where `make serve` looks for models as well

out = Console()


def wait_until_ready(service: subprocess.Popen[str]) -> None:
    """Read what the supervisor prints until it says that it is ready."""
    assert service.stdout is not None
    line = service.stdout.readline()
    if not line.startswith("ready"):
        raise SystemExit("atelier: the service did not start; demo/service.log says why")


def ask(client: Client, card: Card, **params: Any) -> Job:
    """Ask a model for something, in few steps if it takes steps, in words if it takes words."""
    if takes(card, "steps"):
        params["steps"] = STEPS
    if takes(card, "prompt"):
        params = {"prompt": PROMPTS[0]} | params
    return client.submit(card["modality"], {"model": card["id"], "seed": SEED, **params})


def takes(card: Card, param: str) -> bool:
    return param in card["params"]["properties"]


def keep(folder: Path, title: str, *jobs: Job) -> list[Path]:
    """Wait for jobs that run together, save what they make, and say where."""
    start, paths = time.monotonic(), []
    for job in jobs:
        follow(job)
        job.wait()
        paths += [save(output, folder, job.model) for output in job.outputs]
    out.print(f"[bold]{title}[/] in {time.monotonic() - start:.1f} s")
    for path in paths:
        out.print(f"  {path}")
    return paths


def make_pictures(client: Client, folder: Path, card: Card) -> list[Path]:
    """Several and a sheet of them; one of each label besides, or of each of a few prompts."""
    model = card["id"]
    made = keep(folder, f"{COUNT} by {model}", ask(client, card, n=COUNT, grid=True))
    if takes(card, "class_label"):
        each = [ask(client, card, class_label=label) for label in card["labels"]]
        made += keep(folder, f"{', '.join(card['labels'])} by {model}", *each)
    if takes(card, "prompt"):
        each = [ask(client, card, prompt=prompt) for prompt in PROMPTS]
        made += keep(folder, f"{', '.join(PROMPTS)} by {model}", *each)
    return made


def make_music(client: Client, folder: Path, card: Card) -> list[Path]:
    """Ten seconds in each style, side by side."""
    styles = card["labels"] if takes(card, "style") else []
    asked: list[dict[str, Any]] = [{"style": style} for style in styles] or [{}]
    each = [ask(client, card, seconds=SECONDS, **params) for params in asked]
    return keep(folder, f"{', '.join(styles) or 'music'} by {card['id']}", *each)


def make_videos(client: Client, folder: Path, card: Card) -> list[Path]:
    """A loop of each of a few things, side by side."""
    each = [ask(client, card, prompt=prompt, repeat=2) for prompt in MOVING]
    return keep(folder, f"{', '.join(MOVING)} by {card['id']}", *each)


def make_stories(client: Client, folder: Path, card: Card) -> list[Path]:
    """A story, and a poem beside it."""
    told = {"model": card["id"], "seed": SEED, "output_format": "md"}
    each = [client.submit("story", told | params) for params in STORIES]
    return keep(folder, f"a story and a poem by {card['id']}", *each)


def make_everything(url: str, folder: Path) -> int:
    """Something by every model, a walk and a picture varied; how many files."""
    with Client(url) as client:
        every = client.models()
        cards = [card for card in every if takes(card, "interpolate")]
        made = [path for card in cards for path in make_pictures(client, folder, card)]
        for card in [card for card in every if card["modality"] == "audio"]:
            made += make_music(client, folder, card)
        for card in [card for card in every if card["modality"] == "video"]:
            made += make_videos(client, folder, card)
        for card in [card for card in every if card["modality"] == "story"]:
            made += make_stories(client, folder, card)
        for card in cards[:1]:
            walking = ask(client, card, interpolate={"to_seed": SEED + 1, "frames": 16})
            made += keep(folder, f"a walk by {walking.model}", walking)
        for card in [card for card in cards if takes(card, "init_image")][:1]:
            given = made[0]
            varied = ask(client, card, init_image=client.upload(given)["sha256"])
            made += keep(folder, f"{given.name} varied by {varied.model}", varied)
    return len(made)


def main() -> None:
    """Everything lies in ./demo afterwards; the service's own state is thrown away."""
    FOLDER.mkdir(exist_ok=True)
    url = f"http://{HOST}:{(port := free_port(HOST))}"
    with tempfile.TemporaryDirectory(prefix="atelier-") as state:
        own, settings = KEPT.resolve() / "checkpoints", read_settings()
        if settings.packaged_models:
            out.print("taking over models that packages carry ...")
            import_missing((settings.checkpoints, own))
        if own.is_dir():
            (Path(state) / "checkpoints").symlink_to(own)
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
    out.print(f"{made} files lie in {FOLDER.resolve()}; `make serve` starts a service that stays")


if __name__ == "__main__":
    try:
        main()
    except Misconfigured as error:
        print(f"atelier: {error}", file=sys.stderr)
        sys.exit(EX_CONFIG)
