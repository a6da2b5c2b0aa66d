"""Files that clients bring: known by their first bytes, stored, and noted as their owner's."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import BinaryIO

import redis

from app.core.errors import Unavailable, UnsupportedMedia
from app.core.schemas import StoredArtifact
from app.core.scripts import Scripts
from app.core.settings import Settings
from app.core.store import Store, hash_file

# (offset, what stands there, content type); the first that fits counts
SIGNS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (8, b"RMID", "audio/midi"),
    (0, b"fLaC", "audio/flac"),
    (0, b"OggS", "audio/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"MThd", "audio/midi"),
    (0, b"\x1a\x45\xdf\xa3", "video/webm"),
)
BRANDS: tuple[tuple[str, frozenset[bytes]], ...] = (
    ("image/avif", frozenset({b"avif", b"avis"})),
    ("image/heic", frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"})),
    ("image/heif", frozenset({b"mif1", b"msf1"})),
    ("audio/mp4", frozenset({b"M4A ", b"M4B ", b"M4P "})),
    ("video/quicktime", frozenset({b"qt  "})),
)
"""Content types of ISO media files, by what they call themselves; any other is MP4."""
MOST_BRANDS = 64  # of a file, that are looked at
MP3_FRAMES = {b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf2", b"\xff\xe3", b"\xff\xe2"}
SUFFIXES = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/gif": "gif",
    "image/webp": "webp",
    "audio/wav": "wav",
    "audio/flac": "flac",
    "audio/ogg": "ogg",
    "audio/mpeg": "mp3",
    "audio/midi": "mid",
    "image/avif": "avif",
    "image/heic": "heic",
    "image/heif": "heif",
    "audio/mp4": "m4a",
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/webm": "webm",
    "text/plain": "txt",
    "text/markdown": "md",
    "application/json": "json",
    "application/x-npy": "npy",
}
HEAD = 4096  # bytes at the beginning of a file that say what it is
PATIENCE = 3.0  # seconds to wait for the sweep to finish with the same bytes


def sniff(data: bytes) -> str:
    """The content type, by what the bytes are and not what they are called. Raises
    UnsupportedMedia for what no model takes."""
    for offset, sign, kind in SIGNS:
        if data.startswith(sign, offset) and (offset != 8 or data.startswith(b"RIFF")):
            return kind
    if data[4:8] == b"ftyp":
        return _iso_media(data)
    if data[:2] in MP3_FRAMES:
        return "audio/mpeg"
    raise UnsupportedMedia(
        "the file must be one of PNG, JPEG, GIF, WebP, AVIF, HEIC, WAV, FLAC, MP3, M4A, Ogg, MIDI, "
        "MP4, QuickTime, WebM"
    )


def _iso_media(data: bytes) -> str:
    """By its first brand; a HEIF picture names its coding among the others."""
    end = min(int.from_bytes(data[:4]), 16 + 4 * MOST_BRANDS)
    first, others = data[8:12], {data[at : at + 4] for at in range(16, end, 4)}
    kind = next((kind for kind, brands in BRANDS if first in brands), "video/mp4")
    if kind != "image/heif":
        return kind
    return next((kind for kind, brands in BRANDS[:2] if others & brands), kind)


class UploadSpace:
    """The bytes that all uploads in progress may take together, on the disk that holds them, and
    the most that one may have."""

    def __init__(self, size: int, largest: int) -> None:
        self.free, self.largest = size, largest

    @contextmanager
    def reserve(self, size: int) -> Iterator[None]:
        """Raises Unavailable where others' uploads leave no room for one of this size."""
        if size > self.free:
            message = "too many files are being uploaded; try again"
            raise Unavailable(message, code="too_many_uploads", retry_after=5)
        self.free -= size
        try:
            yield
        finally:
            self.free += size


class Uploads:
    """Keeps uploaded bytes for as long as results are kept. Blocks."""

    def __init__(self, connection: "redis.Redis", store: Store, settings: Settings) -> None:
        self._scripts = Scripts(connection)
        self._store = store
        self._settings = settings

    def keep(self, owner: str, file: BinaryIO) -> StoredArtifact:
        """Store a file and note it as this owner's. Raises UnsupportedMedia, StoreError."""
        file.seek(0)
        kind = sniff(file.read(HEAD))
        sha256, size = hash_file(file)
        self._hold(sha256)
        self._store.put_file(file)
        self._scripts.run("keep", owner, sha256, kind, size, self._settings.result_ttl)
        return StoredArtifact(sha256=sha256, content_type=kind, bytes=size)

    def keep_input(self, data: bytes) -> str:
        """Store what a job will refer to, before it does; returns its hash. Raises StoreError."""
        self._hold(hash_file(BytesIO(data))[0])
        return self._store.put(data)

    def _hold(self, sha256: str) -> None:
        """Announce the bytes, so that the sweep leaves them alone before they are noted."""
        deadline = time.monotonic() + PATIENCE
        while not self._scripts.run("hold", self._settings.orphan_ttl, sha256):
            if time.monotonic() > deadline:
                message = "these bytes are just being deleted; try again"
                raise Unavailable(message, code="store_unavailable", retry_after=5)
            time.sleep(0.05)
