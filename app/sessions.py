"""Sessions of browsers: a signed cookie by which a page's elements read without a header.

The cookie is `<name of the key>.<end of the session>.<signature>`. The signature is made with a
secret that all API processes share and the SHA-256 of the key. So a key that leaves the keys file
ends its sessions at once, and nothing is stored of one.
"""

import hashlib
import secrets
import time
from typing import NamedTuple

import redis.asyncio
from itsdangerous import BadSignature, Signer

from app.auth import Key, Keys
from app.core.errors import Unauthenticated
from app.core.scripts import source

COOKIE = "atelier_session"
SECONDS = 3600  # from its beginning to its end
SECRET_BYTES = 32


class BrowserSession(NamedTuple):
    """The key that began a session, and its end in seconds since 1970."""

    key: Key
    expires: int


class Sessions:
    """Begins sessions and reads them. Redis has the secret."""

    def __init__(self, connection: "redis.asyncio.Redis", keys: Keys) -> None:
        self._secret = connection.register_script(source("session_secret"))
        self._keys = keys

    async def begin(self, key: Key) -> tuple[str, int]:
        """Returns the cookie of a new session of this key, and when it ends."""
        expires = int(time.time()) + SECONDS
        signer = await self._signer(key)
        return signer.sign(f"{key.name}.{expires}").decode(), expires

    async def read(self, cookie: str) -> BrowserSession:
        """Returns the session of a cookie.

        Raises Unauthenticated where no key of the file has signed it, or its time has passed.
        """
        payload = cookie.rpartition(".")[0]
        name, _, ends = payload.rpartition(".")
        for key in self._keys.read():
            if key.name == name and await self._has_signed(key, cookie):
                if int(ends) <= time.time():
                    raise Unauthenticated("this session has ended: begin another by POST /session")
                return BrowserSession(key, int(ends))
        raise Unauthenticated("this session is not known: begin another by POST /session")

    async def _has_signed(self, key: Key, cookie: str) -> bool:
        signer = await self._signer(key)
        try:
            signer.unsign(cookie.encode())
        except (BadSignature, UnicodeError):
            return False
        return True

    async def _signer(self, key: Key) -> Signer:
        """It is made anew each time, so that a Redis that was emptied ends every session."""
        secret = await self._secret(args=[secrets.token_hex(SECRET_BYTES)])
        return Signer(
            f"{secret}{key.sha256}",
            salt=COOKIE,
            key_derivation="hmac",
            digest_method=hashlib.sha256,
        )
