"""Renders one chat template, in a process of its own: a template is a program of a stranger's.

It is run as a script and imports jinja2 and the standard library alone, so that it starts at once
and holds nothing worth stealing. It reads requests from standard input, a JSON document a line, and
answers each with a line:

1. `{"source", "specials", "names"}` comes first: the template, the special tokens, and the
   template's names for some of them. The answer is `{}`.
2. `{"messages", "tools", "generation"}` is a conversation, and the tools that it has or null. The
   answer is `{"page", "spans"}`: the text as
   transformers renders it, and where it has special tokens that the template wrote.
3. `{"error", "limit"}` is the answer to what can't be rendered; `limit` says whether it took too
   much.

What a user wrote is never a special token, whatever it looks like. So the conversation is rendered
again with every string that is the template's own spelled in other letters ("twins"), of private
use. Only what is spelled in twins is the template's. Where a template takes its strings apart, so
that they can't be followed, the special tokens of a conversation that says nothing are compared.
"""

import json
import random
import re
import resource
import signal
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

from jinja2 import Template, TemplateError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

SECONDS = 1.0  # of processor time, for one request
MEMORY = 512 * 2**20  # bytes of address space
LONGEST = 2**22  # letters of a page
ECHO = 300  # letters of a template's own error
PRIVATE = range(0x100000, 0x10FFFE)  # code points of Unicode's private use, for twins
NOTHING = "x"  # what is said in a conversation that says nothing
TODAY = datetime(
    2024, 7, 26, tzinfo=UTC
)  # Llama's own default: a request has the same bytes tomorrow

Messages = Sequence[Mapping[str, Any]]
Spans = list[tuple[int, int]]


class Chat(NamedTuple):
    """What a template renders."""

    messages: Messages
    tools: Messages | None
    add_generation_prompt: bool


class TooMuch(Exception):
    """A template writes more than any model reads."""


class Generation(Extension):
    """`{% generation %}` stands around what a model itself says, for training: no matter here."""

    tags = {"generation"}  # noqa: RUF012 - as jinja has it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def environment() -> ImmutableSandboxedEnvironment:
    """What transformers has for templates, but that every day is the same one."""
    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", Generation]
    )
    env.filters["tojson"] = _json
    env.globals["raise_exception"] = _refuse
    env.globals["strftime_now"] = TODAY.strftime
    return env


def _json(value: Any, ensure_ascii: bool = False, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, **options)


def _refuse(message: str) -> None:
    raise TemplateError(message)


class Own(str):
    """A string of the template's own: it compares as itself, and is written in twins.

    Whatever else is made of it is a plain string, and is taken for a user's.
    """

    twins: str

    def __new__(cls, text: str, table: Mapping[int, int]) -> "Own":
        own = super().__new__(cls, text)
        own.twins = text.translate(table)
        return own

    def __str__(self) -> str:
        return self.twins

    def __format__(self, spec: str) -> str:
        return format(self.twins, spec)

    def __add__(self, other: str) -> str:
        return self.twins + str(other) if isinstance(other, str) else NotImplemented

    def __radd__(self, other: str) -> str:
        return str(other) + self.twins if isinstance(other, str) else NotImplemented

    def __mod__(self, values: Any) -> str:
        return str(self.twins % values)


class Following(NodeTransformer):
    """Replaces the strings of a template, where they may be written, by names of Owns."""

    def __init__(self, table: Mapping[int, int]) -> None:
        self._table = table
        self.owns: dict[str, Own] = {}

    def visit_TemplateData(self, node: nodes.TemplateData) -> nodes.Node:  # noqa: N802
        node.data = node.data.translate(self._table)
        return node

    def visit_Const(self, node: nodes.Const) -> nodes.Node:  # noqa: N802
        if not isinstance(node.value, str):
            return node
        name = f"_own_{len(self.owns)}"
        self.owns[name] = Own(node.value, self._table)
        return nodes.Name(name, "load", lineno=node.lineno)

    def visit_Filter(self, node: nodes.Filter) -> nodes.Node:  # noqa: N802
        """Arguments are looked for in texts, and so stay as they are."""
        if node.node is not None:
            node.node = self.visit(node.node)
        return node

    visit_Test = visit_Filter  # noqa: N815

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802
        node.node = self.visit(node.node)
        if not isinstance(node.arg, nodes.Const):
            node.arg = self.visit(node.arg)
        return node

    def visit_Call(self, node: nodes.Call) -> nodes.Node:  # noqa: N802
        if isinstance(node.node, nodes.Getattr):  # a method, such as `split`
            node.node = self.visit(node.node)
            return node
        return self.generic_visit(node)


class Renderer:
    """A template that has been compiled."""

    def __init__(self, source: str, specials: Iterable[str], names: Mapping[str, str]) -> None:
        self._source, self._names = source, names
        self._specials = sorted(filter(None, specials), key=len, reverse=True)
        self._letters = sorted({letter for special in self._specials for letter in special})
        self._plain = environment().from_string(source)
        self._first, self._followed = -1, self._plain

    def answer(
        self, messages: Messages, tools: Messages | None, generation: bool
    ) -> dict[str, Any]:
        """The page, and its special tokens."""
        chat = Chat(messages, tools, generation)
        page = self._rendered(self._plain, chat, self._names)
        present = [special for special in self._specials if special in page]
        return {"page": page, "spans": self._spans(page, present, chat)}

    def _spans(self, page: str, present: Sequence[str], chat: Chat) -> Spans:
        """Where the special tokens are that the template wrote. Raises TemplateError where nobody
        can tell."""
        every = _matches(page, present)
        if not every:
            return every
        followed = self._spelled(chat)
        table = self._table
        same = followed.translate({twin: letter for letter, twin in table.items()}) == page
        own = _matches(followed, [special.translate(table) for special in present])
        if same and own == every:
            return every
        expected = self._silent(chat)
        followed_all = same and {*expected} <= {page[a:b] for a, b in own}
        if [page[a:b] for a, b in every] == expected and not followed_all:
            return every
        if followed_all:
            return own
        raise TemplateError("its special tokens can't be told from those in the messages")

    def _silent(self, chat: Chat) -> list[str]:
        """The special tokens where the messages say nothing, in order."""
        silent = chat._replace(messages=_silent(chat.messages), tools=_silent(chat.tools))
        try:
            page = self._rendered(self._plain, silent, self._names)
        except Exception:  # it did not refuse what was said
            return []
        present = [special for special in self._specials if special in page]
        return [page[a:b] for a, b in _matches(page, present)]

    def _spelled(self, chat: Chat) -> str:
        """The page with the template's own strings in twins; empty where that can't be had."""
        self._follow(json.dumps([chat.messages, chat.tools], ensure_ascii=False))
        table = self._table
        named = [{**message, "role": Own(message["role"], table)} for message in chat.messages]
        names = {name: Own(text, table) for name, text in self._names.items()}
        try:
            return self._rendered(self._followed, chat._replace(messages=named), names)
        except Exception:  # as plain strings, they did no harm
            return ""

    @property
    def _table(self) -> dict[int, int]:
        """A twin for each letter of special tokens."""
        return {ord(letter): self._first + i for i, letter in enumerate(self._letters)}

    def _follow(self, messages: str) -> None:
        """Choose twins that nobody has written, and compile the template with them."""
        taken = {ord(x) for x in re.findall("[\U00100000-\U0010fffd]", messages + self._source)}
        count = max(len(self._letters), 1)
        firsts = range(PRIVATE.start, PRIVATE.stop - count, count)
        free = (first for first in firsts if taken.isdisjoint(range(first, first + count)))
        first = next(free, None)
        if first is None:
            raise TemplateError("the messages have too many letters of private use")
        if first != self._first:
            self._first = first
            following, env = Following(self._table), environment()
            tree = following.visit(env.parse(self._source))
            self._followed = env.from_string(tree, globals=following.owns)

    def _rendered(self, template: Template, chat: Chat, names: Mapping[str, str]) -> str:
        random.seed(0)  # templates may draw, but the same each time
        pieces, length = [], 0
        for piece in template.generate(**chat._asdict(), documents=None, **names):
            length += len(piece)
            if length > LONGEST:
                raise TooMuch
            pieces.append(piece)
        return "".join(pieces)


def _matches(page: str, specials: Sequence[str]) -> Spans:
    """Where special tokens are, the longest first, as tokenizers find them."""
    if not specials:
        return []
    return [match.span() for match in re.finditer("|".join(map(re.escape, specials)), page)]


def _silent(value: Any) -> Any:
    """A value of JSON of the same form whose texts say nothing."""
    if isinstance(value, str):
        return NOTHING if value.strip() else value
    if isinstance(value, list):
        return [_silent(one) for one in value]
    kept = ("role", "type")
    pairs = value.items() if isinstance(value, dict) else ()
    return {k: x if k in kept else _silent(x) for k, x in pairs} if pairs else value


def main() -> None:
    """Answer requests until there are no more. Its parent says when it is to end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with suppress(ValueError, OSError):  # not every system has this limit
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    renderer: Renderer | None = None
    for line in sys.stdin.buffer:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)  # which ends this process, whatever it does
        try:
            request = json.loads(line)
            if renderer is None:
                renderer, reply = Renderer(**request), {}
            else:
                reply = renderer.answer(**request)
        except Exception as error:
            reply = _failure(error)
        out = json.dumps(reply).encode()
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.buffer.write(out + b"\n")
        sys.stdout.buffer.flush()


def _failure(error: Exception) -> dict[str, Any]:
    match error:
        case MemoryError():
            return {"error": "it takes too much memory", "limit": True}
        case RecursionError():
            return {"error": "it nests too deeply", "limit": True}
        case TooMuch():
            return {"error": f"it writes more than {LONGEST} letters", "limit": True}
        case _:
            return {"error": str(error)[:ECHO] or type(error).__name__, "limit": False}


if __name__ == "__main__":
    main()
