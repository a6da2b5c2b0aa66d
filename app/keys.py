"""Who is asking: the keys file, and the owner that a Bearer key stands for.

A line is a name and the SHA-256 of its key; `#` begins a comment. The file is read again when it
changes. A line that can't be read lets nobody in, and is logged by its number.
"""

import codecs
import hashlib
import hmac
import logging
import re
from pathlib import Path

from app.errors import Unauthenticated

log = logging.getLogger(__name__)

LOCAL = "local"  # the owner of everything where there is no keys file
LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63})\s+([0-9a-fA-F]{64})")


class Keys:
    """The keys of a file, or, without one, everyone as `local`."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._stamp: tuple[int, int] | None = None
        self._keys: list[tuple[str, str]] = []

    def owner(self, authorization: str | None) -> str:
        """The owner that an Authorization header stands for. Raises Unauthenticated."""
        if self._file is None:
            return LOCAL
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise Unauthenticated("an API key is needed: Authorization: Bearer KEY")
        digest = hashlib.sha256(key.strip().encode()).hexdigest()
        found = [name for name, own in self.read() if hmac.compare_digest(own, digest)]
        if not found:
            raise Unauthenticated("this API key is not known")
        return found[0]

    def read(self) -> list[tuple[str, str]]:
        """Name and hash of every key, of the file as it is now; none if it can't be read."""
        if self._file is None:
            return []
        try:
            stat = self._file.stat()
            if (stamp := (stat.st_mtime_ns, stat.st_size)) != self._stamp:
                self._keys, self._stamp = _parsed(decoded(self._file.read_bytes())), stamp
        except (OSError, UnicodeDecodeError) as error:
            if self._keys or self._stamp is None:
                log.error("the keys file can't be read, nobody is let in: %s", error)
            self._keys, self._stamp = [], (0, 0)
        return self._keys


def decoded(data: bytes) -> str:
    """The text of a file in UTF-8, or in UTF-16 with a byte order mark, as Windows' editors and
    shells write it. Raises UnicodeDecodeError."""
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if utf16 else "utf-8-sig")


def _parsed(text: str) -> list[tuple[str, str]]:
    keys = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.partition("#")[0].strip()
        match = LINE.fullmatch(line)
        if match:
            keys.append((match[1], match[2].lower()))
        elif line:
            log.error("line %d of the keys file is not a name and a SHA-256; it is ignored", number)
    return keys
