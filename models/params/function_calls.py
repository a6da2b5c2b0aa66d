"""Calls of tools in the text of an answer: how they are written, and how they are read. No torch.

A call is `<tool_call>`, a line with `{"name": "...", "arguments": {...}}`, and `</tool_call>`. The
arguments stand on one line, so a call's end is never within them.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

BEGIN = '<tool_call>\n{"name": "'
ARGUMENTS = '", "arguments": '
END = "}\n</tool_call>"


class ContentPiece(NamedTuple):
    """More of the text before the calls."""

    text: str


class CallPiece(NamedTuple):
    """More of a call: its name comes first and alone, then its arguments piece by piece."""

    number: int
    name: str | None
    arguments: str


Piece = ContentPiece | CallPiece


@dataclass
class ToolCallParser:
    """Takes the text of an answer piece by piece, and tells its content from its calls.

    What may be the beginning of a mark is held back until it is one, or is none. White space
    before the first call is no part of the content.
    """

    calls: int = 0
    _state: Literal["content", "name", "arguments"] = "content"
    _pending: str = ""

    def take(self, text: str) -> list[Piece]:
        """What the next piece of text brings."""
        self._pending += text
        pieces: list[Piece] = []
        while self._advance(pieces):
            pass
        return pieces

    def end(self) -> list[Piece]:
        """What was held back, since no more comes. A call whose name is cut off is left out."""
        pending, self._pending = self._pending, ""
        match self._state:
            case "content" if pending and not self.calls:
                return [ContentPiece(pending)]
            case "arguments" if arguments := pending[: _settled(pending, END)]:
                return [CallPiece(self.calls - 1, None, arguments)]
        return []

    def _advance(self, pieces: list[Piece]) -> bool:
        """Reads up to the next mark; returns whether it was there."""
        match self._state:
            case "content":
                before, mark, after = self._pending.partition(BEGIN)
                settled = before if mark else before[: _settled(before, BEGIN)]
                content = settled.rstrip()
                if content and not self.calls:
                    pieces.append(ContentPiece(content))
                    before = before[len(content) :]
                self._pending = after if mark else before
                following: Literal["content", "name", "arguments"] = "name"
            case "name":
                name, mark, after = self._pending.partition(ARGUMENTS)
                if mark:
                    pieces.append(CallPiece(self.calls, name, ""))
                    self.calls += 1
                    self._pending = after
                following = "arguments"
            case "arguments":
                before, mark, after = self._pending.partition(END)
                arguments = before if mark else before[: _settled(before, END)]
                if arguments:
                    pieces.append(CallPiece(self.calls - 1, None, arguments))
                self._pending = after if mark else before[len(arguments) :]
                following = "content"
        if mark:
            self._state = following
        return bool(mark)


def _settled(text: str, mark: str) -> int:
    """Letters of a text before what may be the beginning of a mark."""
    most = min(len(text), len(mark) - 1)
    begun = next((n for n in range(most, 0, -1) if text.endswith(mark[:n])), 0)
    return len(text) - begun


class ToolCallText(NamedTuple):
    """A call as an answer made it: its arguments are JSON, cut off where the answer is."""

    name: str
    arguments: str


def split_calls(text: str) -> tuple[str, list[ToolCallText]]:
    """The content of a whole answer, and its calls."""
    parser = ToolCallParser()
    content, calls = "", list[ToolCallText]()
    for piece in [*parser.take(text), *parser.end()]:
        match piece:
            case ContentPiece():
                content += piece.text
            case CallPiece(name=str() as name):
                calls.append(ToolCallText(name, ""))
            case CallPiece():
                calls[-1] = calls[-1]._replace(arguments=calls[-1].arguments + piece.arguments)
    return content, calls
