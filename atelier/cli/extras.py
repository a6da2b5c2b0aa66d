"""The packages of an extra that are missing: without extras, only the API runs."""

import re
from importlib.metadata import PackageNotFoundError, distribution, requires
from importlib.util import find_spec

DISTRIBUTION = "atelier-service"
NAME = re.compile(r"[A-Za-z0-9._-]+")


def missing_packages(extra: str) -> list[str]:
    """Returns the distributions that an extra requires and that are not installed."""
    try:
        lines = requires(DISTRIBUTION) or []
    except PackageNotFoundError:  # run from a folder of sources
        return [] if find_spec("torch") else ["torch"]
    marker = re.compile(rf"""extra\s*==\s*['"]{re.escape(extra)}['"]""")
    names = [m[0] for line in lines if marker.search(line) and (m := NAME.match(line))]
    return [name for name in names if not _is_installed(name)]


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return name != "torch" or find_spec("torch") is not None
