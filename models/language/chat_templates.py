"""Chat templates, each in a process of its own that is ended where it takes too long.

A checkpoint's template is a program of a stranger's: it may loop for ever, or fill the memory. See
`template_process`, which runs it.
"""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.checkpoint.header import CheckpointError

PROGRAM = Path(__file__).with_name("template_process.py")
LONGEST_SOURCE = 2**18  # letters of a template
STARTING = 60.0  # seconds until a process answers first, at most: the machine may be busy
PATIENCE = 10.0  # seconds for an answer; processor time has a narrower limit of its own
KEPT = 8  # answers: items of a job ask the same
TRIES = 2  # where a process ends and the template is not to blame
ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")  # no secrets
SAID = "7314159"  # what templates leave as it is
TOO_LONG = "it takes too long"

Turn = Mapping[str, Any]
"""A message: its role and content, and the tools that it calls or answers."""


class TemplateOverrun(ValueError):
    """A template took more time, memory or letters than any may."""


class _Ended(Exception):
    """The process ended, or had to be ended, before it answered."""


@dataclass(frozen=True, slots=True)
class ChatPage:
    """A conversation as a template renders it."""

    text: str
    spans: tuple[tuple[int, int], ...]
    """Where the template's own special tokens are, in order."""

    @property
    def plain(self) -> str:
        """The text without special tokens."""
        starts = [0, *(end for _, end in self.spans)]
        ends = [*(start for start, _ in self.spans), len(self.text)]
        return "".join(self.text[a:b] for a, b in zip(starts, ends, strict=True))


class ChatTemplate:
    """Renders conversations by a template. Used by one thread at a time."""

    def __init__(self, source: str, specials: Iterable[str], names: Mapping[str, str]) -> None:
        """`specials` are the texts of special tokens, `names` what the template calls some.

        Raises CheckpointError where the source is no template, or is too long.
        """
        if len(source) > LONGEST_SOURCE:
            most = f"{LONGEST_SOURCE} at most are read"
            raise CheckpointError(f"its chat template has {len(source)} letters, and {most}")
        self._process = _Process({"source": source, "specials": [*specials], "names": {**names}})
        self._answers: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self.parts = False
        """Whether it wants contents as lists of parts."""
        try:
            self._process.start()
        except ValueError as error:
            raise CheckpointError(f"its chat template can't be used: {error}") from None

    def choose_form(self) -> None:
        """Find out whether the template wants contents as text or as lists of parts: text, if it
        writes that. Raises TemplateOverrun."""
        for self.parts in (False, True):
            try:
                if SAID in self.page([{"role": "user", "content": SAID}]).text:
                    return
            except TemplateOverrun:
                raise
            except ValueError:  # it refuses this form, or this conversation
                continue
        self.parts = False

    def page(
        self,
        turns: Sequence[Turn],
        generation: bool = True,
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> ChatPage:
        """The conversation, up to where the model is to answer if there is to be a `generation`.

        Raises ValueError where the template refuses it, TemplateOverrun where it takes too much.
        """
        messages = [self._message(turn) for turn in turns]
        listed = [*tools] or None
        key = json.dumps({"messages": messages, "tools": listed, "generation": generation})
        reply = self._answers.get(key) or self._process.ask(key)
        self._answers[key] = reply
        self._answers.move_to_end(key)
        if len(self._answers) > KEPT:
            self._answers.popitem(last=False)
        if "error" in reply:
            kind = TemplateOverrun if reply["limit"] else ValueError
            raise kind(reply["error"])
        return ChatPage(reply["page"], tuple((start, end) for start, end in reply["spans"]))

    def _message(self, turn: Turn) -> dict[str, Any]:
        content = turn["content"]
        parts = [{"type": "text", "text": content}]
        return {**turn, "content": parts if self.parts else content}


@dataclass
class _Process:
    """A process that renders one template, started anew when it ended."""

    first: Mapping[str, Any]
    _process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)
    _end: Any = field(default=None, init=False)

    def start(self) -> None:
        """Raises ValueError where it refuses its template."""
        for _ in range(TRIES):
            self._spawn()
            try:
                reply = self._exchange(json.dumps(self.first), STARTING)
            except _Ended:
                self.end()
                continue
            except TemplateOverrun:
                self.end()
                raise
            if "error" in reply:
                self.end()
                raise ValueError(reply["error"])
            return
        raise TemplateOverrun("its process ends")

    def ask(self, request: str) -> dict[str, Any]:
        """The answer to a request; what it takes too long for is answered by an error."""
        for _ in range(TRIES):
            try:
                if self._process is None:
                    self.start()
                return self._exchange(request, PATIENCE)
            except _Ended:
                self.end()
            except TemplateOverrun as error:
                self.end()
                return {"error": str(error), "limit": True}
        return {"error": "its process ends", "limit": True}

    def end(self) -> None:
        if self._end is not None:
            self._end()
        self._process = None

    def _spawn(self) -> None:
        pipe = subprocess.PIPE
        command = [sys.executable, "-I", str(PROGRAM)]
        env = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=env)
        self._process, self._end = process, weakref.finalize(self, _stop, process)

    def _exchange(self, request: str, patience: float) -> dict[str, Any]:
        """Raises _Ended, or TemplateOverrun where it took too long."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(request.encode() + b"\n")
            process.stdin.flush()
            line = _line(process.stdout.fileno(), time.monotonic() + patience)
        except OSError:
            line = b""
        if line is None or (not line and process.wait(PATIENCE) == -signal.SIGPROF):
            raise TemplateOverrun(TOO_LONG)
        if not line:
            raise _Ended
        reply: dict[str, Any] = json.loads(line)
        return reply


def _line(file: int, deadline: float) -> bytes | None:
    """What is read up to the end of a line: empty where the other side closed, None where the
    deadline passed."""
    chunks: list[bytes] = []
    with selectors.DefaultSelector() as selector:
        selector.register(file, selectors.EVENT_READ)
        while not (chunks and chunks[-1].endswith(b"\n")):
            if not selector.select(max(0.0, deadline - time.monotonic())):
                return None
            chunk = os.read(file, 2**20)
            if not chunk:
                return b""
            chunks.append(chunk)
    return b"".join(chunks)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):  # what was written and not read
                stream.close()
