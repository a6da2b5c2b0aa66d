"""The state folder, which only its owner can read.

The embedded server's socket is in it, unless its path is too long for a socket, needs quoting in
the server's texts, or is open to other users. Then the socket is in a private temporary folder with
a random name, and a link in the state folder points to it.
"""

import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.core.addresses import SOCKET, SOCKET_LINK, socket_in
from app.core.settings import Misconfigured

FOLDERS = ("artifacts", "checkpoints", "imports", "valkey")
FILES = ("lock",)
LONGEST_SOCKET = 100  # bytes of a socket's path that every system takes
PLAIN = re.compile(rb"[A-Za-z0-9/._-]+")  # what CLIENT INFO shows of a path can be parsed


def prepare_state(folder: Path) -> Path:
    """Makes the state folder, closes it to other users, and returns its whole path.

    Raises Misconfigured where there can be no such folder, or where it belongs to somebody else.
    """
    try:
        state = folder.resolve()
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = state.stat().st_uid
        if owner not in (os.geteuid(), 0) and os.geteuid() != 0:
            raise Misconfigured("ATELIER_STATE: the folder belongs to another user")
        for path in _entries(state):
            _close(path)
    except OSError as error:
        raise Misconfigured(f"ATELIER_STATE: it can't be used: {error.strerror}") from None
    except RuntimeError:  # pathlib's, for links that lead to themselves
        raise Misconfigured("ATELIER_STATE: it is a link to itself") from None
    return state


def _entries(state: Path) -> Iterator[Path]:
    """Yields what to close to other users: the folder, and the service's own files in it."""
    info = state.stat()
    shared = info.st_mode & stat.S_ISVTX  # /tmp, say
    if info.st_uid == os.geteuid() and not shared:
        yield state
    yield from (state / name for name in FILES)
    for name in FOLDERS:
        folder = state / name
        if name == "artifacts" and is_private(folder):
            continue  # it has been ours from the start, and may hold very many files
        for where, _, files in os.walk(folder):
            yield from (Path(where), *(Path(where, file) for file in files))


def _close(path: Path) -> None:
    """Removes the permissions of other users from a file or folder, but not from a link."""
    with suppress(FileNotFoundError):  # another process tidies too
        mode = path.lstat().st_mode
        if mode & 0o077 and (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
            path.chmod(mode & 0o700)


@contextmanager
def private_files() -> Iterator[None]:
    """Within, only the owner can read what this process and its children write."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def is_private(folder: Path) -> bool:
    """Whether this is our own folder, no link, and closed to other users."""
    try:
        info = folder.lstat()
    except OSError:
        return False
    owned = stat.S_ISDIR(info.st_mode) and info.st_uid == os.geteuid()
    return owned and not info.st_mode & 0o077


def prepare_socket(state: Path) -> None:
    """Makes the private folder of the socket, where `socket_in` finds it."""
    link = state / SOCKET_LINK
    if is_private(state) and _fits(state):
        link.unlink(missing_ok=True)
        return
    if link.is_symlink() and is_private(target := link.readlink()) and _fits(target):
        return
    folder = tempfile.mkdtemp(prefix="atelier-", dir=_short_folder())
    draft = link.with_name(f".{link.name}")
    draft.unlink(missing_ok=True)
    draft.symlink_to(folder)
    draft.replace(link)


def discard_socket(state: Path) -> None:
    """Removes what `prepare_socket` made. No server may listen there."""
    link = state / SOCKET_LINK
    if link.is_symlink():
        folder = link.readlink()
        with suppress(OSError):
            socket_in(state).unlink(missing_ok=True)
            folder.rmdir()
            link.unlink()


def _fits(folder: Path) -> bool:
    path = os.fsencode(folder / SOCKET)
    return len(path) <= LONGEST_SOCKET and PLAIN.fullmatch(path) is not None


def _short_folder() -> str:
    """Returns a folder for temporary folders, whose path is short enough for a socket."""
    for folder in (tempfile.gettempdir(), "/tmp", "/var/tmp"):
        if Path(folder).is_dir() and _fits(Path(folder, "atelier-12345678")):
            return folder
    raise Misconfigured("TMPDIR: the server's socket needs a folder of a short, plain path")
