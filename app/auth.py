"""Who is asking: the keys file, and the owner that a Bearer key stands for.

A line is a name, the SHA-256 of its key, and the scopes that the key has besides; `#` begins a
comment. The file is read again when it changes. A line that can't be read lets nobody in, and is
logged by its number.

Every key may use all that is its owner's own. A scope allows more: `metrics` everybody's figures,
and `models` to load and unload models.
`app/sessions.py` lets browsers read with a cookie that such a key began.
"""

import codecs
import hashlib
import hmac
import logging
import re
from pathlib import Path
from typing import NamedTuple

from app.core.errors import Forbidden, Unauthenticated

log = logging.getLogger(__name__)

LOCAL = "local"  # the owner of everything where there is no keys file
METRICS = "metrics"  # the scope of /metrics
MODELS = "models"  # the scope that loads and unloads models
SCOPES = frozenset({METRICS, MODELS})
LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63})\s+([0-9a-fA-F]{64})((?:\s+[a-z]+)*)")


class Key(NamedTuple):
    """The owner that a key stands for, the key's SHA-256, and its scopes."""

    name: str
    sha256: str
    scopes: frozenset[str] = frozenset()

    def require(self, scope: str) -> None:
        """Raises Forbidden where the key lacks this scope."""
        if scope not in self.scopes:
            raise Forbidden(f"this API key lacks the scope {scope}")


class Keys:
    """The keys of a file, or, without one, everyone as `local`."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._stamp: tuple[int, int] | None = None
        self._keys: list[Key] = []

    def owner(self, authorization: str | None) -> str:
        """The owner that an Authorization header stands for. Raises Unauthenticated."""
        return self.key_of(authorization).name

    @property
    def required(self) -> bool:
        """Whether requests need a key."""
        return self._file is not None

    def key_of(self, authorization: str | None) -> Key:
        """The key that an Authorization header has. Raises Unauthenticated."""
        if self._file is None:
            return Key(LOCAL, "", SCOPES)
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise Unauthenticated("an API key is needed: Authorization: Bearer KEY")
        digest = hashlib.sha256(key.strip().encode()).hexdigest()
        matches = [x for x in self.read() if hmac.compare_digest(x.sha256, digest)]
        if not matches:
            raise Unauthenticated("this API key is not known")
        return matches[0]

    def read(self) -> list[Key]:
        """Every key of the file as it is now; none if it can't be read."""
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


def _parsed(text: str) -> list[Key]:
    keys = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.partition("#")[0].strip()
        match = LINE.fullmatch(line)
        scopes = frozenset(match[3].split()) if match else frozenset()
        if match and scopes <= SCOPES:
            keys.append(Key(match[1], match[2].lower(), scopes))
        elif line:
            message = "line %d of the keys file is not a name, a SHA-256 and known scopes; it is "
            log.error(message + "ignored", number)
    return keys
