"""A command on a terminal of its own: keys in, and what it shows."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from codecs import getincrementaldecoder
from pathlib import Path
from types import TracebackType
from typing import Self

CTRL_C, CTRL_D, CTRL_U, UP = "\x03", "\x04", "\x15", "\x1b[A"
CONTROL = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]?|[=>])?|\r|\x07")
OPEN = re.compile(r"\x1b(\[[0-9;?]*)?\Z")
ATELIER = """\
import fcntl, signal, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C reaches it
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background jobs ignore
from atelier.cli.main import main
main()
"""


class Terminal:
    """`atelier` with these arguments, on 80 columns and 24 lines that know colours."""

    def __init__(self, *arguments: str | Path, **environment: str) -> None:
        self._keys, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        inherited = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS")}
        self.process = subprocess.Popen(
            [sys.executable, "-c", ATELIER, *map(str, arguments)],
            stdin=inner,
            stdout=inner,
            stderr=inner,
            env={**inherited, "TERM": "xterm-256color", "COLORTERM": "truecolor", **environment},
            start_new_session=True,
        )
        os.close(inner)
        self._decoder = getincrementaldecoder("utf-8")(errors="replace")  # Ctrl-C cuts what is sent
        self.raw = ""  # all that was written
        self._rest = ""  # a sequence of controls of which the end has not come yet
        self._unread = ""  # what was shown and not asked for, without what moves and colours it

    def press(self, keys: str) -> None:
        os.write(self._keys, keys.encode())

    def until(self, text: str, seconds: float = 110) -> str:
        """What is shown after what was read before, up to and with this text."""
        deadline = time.monotonic() + seconds
        while text not in self._unread:
            assert self._read(deadline), self._unread
        before, _, self._unread = self._unread.partition(text)
        return before + text

    def ended(self, seconds: float = 60) -> tuple[int, str]:
        """Its status once it is over, and what it showed after what was read before."""
        deadline = time.monotonic() + seconds
        while self._read(deadline):
            continue
        return self.process.wait(30), self._unread

    def _read(self, deadline: float) -> bool:
        """False once nobody holds the other side."""
        ready, _, _ = select.select([self._keys], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, self._unread
        try:
            data = os.read(self._keys, 65536)
        except OSError:
            return False
        piece = self._decoder.decode(data)
        self.raw += piece
        text = self._rest + piece
        self._rest = match[0] if (match := OPEN.search(text)) else ""
        self._unread += CONTROL.sub("", text.removesuffix(self._rest))
        return bool(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._keys)
