"""The files of the Studio: read once, compressed once, under addresses that name their content.

All addresses share one version, the hash of every file. So modules import each other by relative
paths, and a browser keeps each file for good.
"""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

HERE = Path(__file__).parent
FOLDERS = ("reference", "static", "vendor")
PAGE = HERE / "page.html"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
}
VIEW_LIBRARY = "vendor/preact/htm-preact.js"
COMPRESSED = {".css", ".js", ".svg", ".txt", ".webmanifest"}


@dataclass(frozen=True)
class Asset:
    """One file of the page."""

    path: str
    content: bytes

    @property
    def suffix(self) -> str:
        return Path(self.path).suffix

    @property
    def content_type(self) -> str:
        return TYPES[self.suffix]

    @cached_property
    def gzipped(self) -> bytes | None:
        """Its bytes compressed, or None where that saves nothing."""
        return gzip.compress(self.content, 9, mtime=0) if self.suffix in COMPRESSED else None


class Assets:
    """Every file below `reference`, `static` and `vendor`, by its path below this package."""

    def __init__(self, folder: Path = HERE) -> None:
        paths = sorted(p for name in FOLDERS for p in (folder / name).rglob("*") if p.is_file())
        files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in paths}
        self._assets = {
            path: Asset(path, content)
            for path, content in files.items()
            if Path(path).suffix in TYPES
        }
        digest = hashlib.sha256()
        for path, content in files.items():
            digest.update(f"{path}\0{len(content)}\0".encode())
            digest.update(content)
        self.version = digest.hexdigest()[:16]

    def get(self, path: str) -> Asset | None:
        return self._assets.get(path)

    def modules(self) -> list[str]:
        """The paths of the page's modules, which a browser may fetch all at once."""
        own = [p for p in self._assets if p.startswith("static/") and p.endswith(".js")]
        return [VIEW_LIBRARY, *own]
