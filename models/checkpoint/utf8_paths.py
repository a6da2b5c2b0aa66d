"""Paths for libraries that take only UTF-8: a file system allows any bytes in a name."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def utf8_path(path: Path) -> Iterator[Path]:
    """The path itself, or one that leads to the same file through a link to its folder."""
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        with tempfile.TemporaryDirectory(prefix="atelier-") as folder:
            link = Path(folder) / "folder"
            link.symlink_to(path.parent.resolve())
            yield link / path.name
    else:
        yield path
