"""The addresses of Redis and of the artifact store: URLs, read strictly, and the socket.

A URL of a wrong form raises ValueError. The message never repeats the URL, which may hold a
password.
"""

import os
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, quote, unquote_to_bytes, urlsplit

REDIS_FORM = "it must be redis://host:port/db, rediss://host:port/db or unix:///path"
STORE_FORM = "a store is file:///folder or s3://bucket/prefix"
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")  # urlsplit drops some of them without a word
HOST = re.compile(r"[A-Za-z0-9._~:%-]+")
SOCKET = "valkey.sock"
SOCKET_LINK = "socket"  # in the state folder, to the folder of the socket where that is another


class StoreAddress(NamedTuple):
    """A folder on this machine, or a bucket and the prefix of its names."""

    folder: Path | None = None
    bucket: str = ""
    prefix: str = ""


def path_url(scheme: str, path: Path) -> str:
    """The URL of an absolute path; every byte that means something in a URL is quoted."""
    return f"{scheme}://{quote(os.fsencode(path))}"


def url_path(path: str) -> Path:
    """The path that the quoted path of a URL stands for, whatever bytes it has."""
    return Path(os.fsdecode(unquote_to_bytes(path)))


def read_store_address(text: str) -> StoreAddress:
    """Raises ValueError for anything but file:///folder and s3://bucket/prefix."""
    url = _split(text, STORE_FORM)
    if url.scheme == "file" and url.path.startswith("/") and not url.netloc:
        return StoreAddress(folder=url_path(url.path))
    if url.scheme == "s3" and url.netloc and HOST.fullmatch(url.netloc):
        return StoreAddress(bucket=url.netloc, prefix=url.path.strip("/"))
    raise ValueError(STORE_FORM)


def check_redis_url(text: str) -> None:
    """Raises ValueError for what redis-py refuses, and for what it would read as another server."""
    url = _split(text, REDIS_FORM, query=True)
    if not text.startswith(f"{url.scheme}://"):
        raise ValueError(REDIS_FORM)
    if " " in text:
        raise ValueError(f"{REDIS_FORM}, with spaces quoted as %20")
    if url.scheme == "unix":
        if url.hostname or not url.path.startswith("/") or url.path == "/":
            raise ValueError(REDIS_FORM)
    elif url.scheme in ("redis", "rediss"):
        _check_server(url)
    else:
        raise ValueError(REDIS_FORM)
    _check_options(text)


def _split(text: str, form: str, query: bool = False) -> SplitResult:
    if UNPRINTABLE.search(text):
        raise ValueError(f"{form}, with what can't be printed quoted as %0A")
    try:
        url = urlsplit(text)
    except ValueError:
        raise ValueError(form) from None
    if "#" in text:
        raise ValueError(f"{form}, with # quoted as %23")
    if "?" in text and not query:
        raise ValueError(f"{form}, with ? quoted as %3F")
    return url


def _check_server(url: SplitResult) -> None:
    try:
        port = url.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("its port must be a number between 1 and 65535")
    if url.netloc and not (url.hostname and HOST.fullmatch(url.hostname)):
        raise ValueError(REDIS_FORM)
    if not re.fullmatch(r"/?|/[0-9]+", url.path):
        raise ValueError("its path must be the number of a database")


def _check_options(text: str) -> None:
    """What stands after the `?`, as redis-py takes it; nothing is connected to."""
    import redis  # the client reads settings too, and has no use for it

    try:
        pool = redis.ConnectionPool.from_url(text)
        pool.connection_class(**pool.connection_kwargs)
    except Exception:  # redis-py raises whatever its options' types raise
        raise ValueError("redis-py can't use one of the options after its ?") from None


def socket_in(state: Path) -> Path:
    """Where the embedded server listens: in its state folder, or where a link there leads."""
    folder = state.resolve()
    link = folder / SOCKET_LINK
    return (link.readlink() if link.is_symlink() else folder) / SOCKET
