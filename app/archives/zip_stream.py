"""Makes a ZIP file while it is sent, in constant memory and of a length that is known before.

Files are stored as they are: pictures, sounds and videos are compressed already. A file that is not
in the store any more ends the stream with Missing. Its length was announced, so the client sees
that the archive is incomplete.
"""

from collections.abc import Iterator

from zipstream import ZipStream

from app.archives.contents import DOCUMENT, ArchiveContents
from app.core.store import Store

PIECE = 2**18  # bytes sent at once, at least


class ZipFileStream:
    """The bytes of one archive, once. `length` says how many they are."""

    def __init__(self, store: Store, contents: ArchiveContents) -> None:
        self._zip = ZipStream(sized=True)
        self._zip.add(contents.document, DOCUMENT)
        for file in contents.files:
            self._zip.add(store.chunks(file.sha256), file.name, size=file.bytes)
        self.length = len(self._zip)

    def __iter__(self) -> Iterator[bytes]:
        """Yields pieces. Raises StoreError, also Missing; it blocks while it reads."""
        pieces: list[bytes] = []
        size = 0
        for piece in self._zip:
            pieces.append(piece)
            size += len(piece)
            if size >= PIECE:
                yield b"".join(pieces)
                pieces, size = [], 0
        if pieces:
            yield b"".join(pieces)
