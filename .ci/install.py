"""Installs packages in the versions of constraints.txt: with uv, or with pip where uv fails.

uv takes a third of pip's time. It follows pip's configuration: indexes, folders of wheels,
constraints, certificates and time limits. Run it with the Python to install for.
"""

import ast
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib import invalidate_caches
from importlib.util import find_spec

PIP = [sys.executable, "-m", "pip"]
INSTALL = ["install", "--quiet", "--constraint", "constraints.txt"]
REPEATED = {
    "extra-index-url": "--extra-index-url",
    "find-links": "--find-links",
    "constraint": "--constraint",
    "trusted-host": "--allow-insecure-host",
}
"""uv's names of the options that pip may have several times."""
BUNDLED = {"soundfile": "libsndfile"}
"""Packages whose wheels for a platform carry a library, while others of the same version don't.
Where these are in different indexes, uv takes that of the first index, and pip the right one."""


def pip_settings(listing: str) -> dict[str, str]:
    """Reads `pip config list`: pip's options for `install`, without dashes. Variables of the
    environment come before the section of `install`, and that before the global one."""
    settings: dict[str, str] = {}
    lines = [line.partition("=") for line in listing.splitlines()]
    for section in ("global.", "install.", ":env:."):
        for name, _, value in lines:
            if name.startswith(section):
                settings[name.removeprefix(section)] = ast.literal_eval(value)
    return settings


def uv_options(settings: dict[str, str]) -> list[str]:
    """Returns what makes uv choose among the same files as pip."""
    options = ["--index-strategy", "unsafe-best-match"]  # the best version of all indexes
    if "index-url" in settings:
        options += ["--index-url", settings["index-url"]]
    if settings.get("no-index", "").lower() in ("1", "yes", "true", "on"):
        options += ["--no-index"]
    for name, option in REPEATED.items():
        for value in settings.get(name, "").split():
            options += [option, value]
    return options


def uv_environment(settings: dict[str, str]) -> dict[str, str]:
    """Returns the environment, with pip's certificates and time limit under uv's names."""
    timeout = settings.get("timeout") or settings.get("default-timeout")
    chosen = {"SSL_CERT_FILE": settings.get("cert"), "UV_HTTP_TIMEOUT": timeout}
    return {name: value for name, value in chosen.items() if value} | os.environ


def install(packages: Sequence[str]) -> None:
    """Raises subprocess.CalledProcessError if neither uv nor pip can install them."""
    listing = subprocess.run([*PIP, "config", "list"], capture_output=True, text=True, check=True)
    settings = pip_settings(listing.stdout)
    uv = [sys.executable, "-m", "uv", "pip", *INSTALL, "--python", sys.executable]
    try:
        if find_spec("uv") is None:
            subprocess.run([*PIP, *INSTALL, "uv"], check=True)
        command = [*uv, *uv_options(settings), *packages]
        subprocess.run(command, env=uv_environment(settings), check=True)
    except subprocess.CalledProcessError as error:
        print(f"uv failed with status {error.returncode}: pip installs", file=sys.stderr)
        subprocess.run([*PIP, *INSTALL, *packages], check=True)
    invalidate_caches()  # packages have come since this program began
    for package, library in BUNDLED.items():
        if find_spec(package) and not can_import(package):
            print(f"{package} lacks {library}: pip installs it", file=sys.stderr)
            again = ["--force-reinstall", "--no-deps", package]
            subprocess.run([*PIP, *INSTALL, *again], check=True)


def can_import(package: str) -> bool:
    command = [sys.executable, "-c", f"import {package}"]
    return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0


if __name__ == "__main__":
    install(sys.argv[1:])
