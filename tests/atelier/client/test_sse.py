"""The parser of events, by the examples of the WHATWG; and the reader, cut at every byte."""

import json
from itertools import pairwise
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier import ConnectionFailed
from atelier.client.sse import Event, EventParser, EventReader, Message


def parsed(*chunks: bytes) -> list[Message]:
    parser = EventParser()
    return [message for chunk in chunks for message in parser.feed(chunk)]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [Message("message", "YHOO\n+2\n10", "")]),
        (
            b": test stream\n\ndata: first event\nid: 1\n\n"
            b"data:second event\nid\n\ndata:  third\n\n",
            [
                Message("message", "first event", "1"),
                Message("message", "second event", ""),
                Message("message", " third", ""),
            ],
        ),
        (
            b"data\n\ndata\ndata\n\ndata:",
            [Message("message", "", ""), Message("message", "\n", "")],
        ),
        (b"data:test\n\ndata: test\n\n", [Message("message", "test", "")] * 2),
        (b"event: a\n\ndata: x\n\n", [Message("message", "x", "")]),
        (
            b"event: a\r\ndata: x\r\rdata: y\n\r\n",
            [Message("a", "x", ""), Message("message", "y", "")],
        ),
        (b"\xef\xbb\xbfdata: x\n\n", [Message("message", "x", "")]),
        (b"id: 1\n\ndata: x\n\n", [Message("message", "x", "1")]),
        (b"id: 1\ndata: x\n\nid: a\0b\ndata: y\n\n", [Message("message", x, "1") for x in "xy"]),
        ("data: a\u2028b\x0bc\n\n".encode(), [Message("message", "a\u2028b\x0bc", "")]),
        (b"unknown: 1\nDATA: x\n data: y\n\n", []),
    ],
)
def test_it_reads_by_the_letter(stream: bytes, expected: list[Message]) -> None:
    assert parsed(stream) == expected
    assert parsed(*(bytes([byte]) for byte in stream)) == expected


@given(
    st.lists(
        st.sampled_from([b"data: \xc3\xa9", b"id: 7", b"event: e", b"\r", b"\n", b"\r\n", b":"])
    ),
    st.lists(st.integers(0, 80)),
)
def test_cuts_change_nothing(parts: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(parts)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    chunks = [stream[a:b] for a, b in pairwise(edges)]
    assert parsed(*chunks) == parsed(stream)


def test_an_event_that_waits_for_nothing_is_not_held_back() -> None:
    assert len(parsed(b"data: x\r\r")) == 1


@pytest.mark.parametrize(("line", "retry"), [(b"1500", 1.5), (b"-1", 0), (b"1s", 0), (b"", 0)])
def test_retry_is_digits(line: bytes, retry: float) -> None:
    parser = EventParser()
    list(parser.feed(b"retry: " + line + b"\n"))
    assert parser.retry == retry


LOG = [
    Event(name, {"number": number, "text": "é"}, f"{number}-0")
    for number, name in enumerate(["status", "progress", "preview", "completed"], 1)
]


def stream_after(last: str | None) -> bytes:
    start = int(last.partition("-")[0]) if last else 0
    return b"".join(
        f"id: {e.id}\nevent: {e.name}\ndata: {json.dumps(e.data)}\n\n".encode() for e in LOG[start:]
    )


def answer() -> httpx.Response:
    return httpx.Response(
        200,
        headers={"content-type": "text/event-stream; charset=utf-8"},
        request=httpx.Request("GET", "http://x/jobs/1/events"),
    )


def test_a_drop_at_any_byte_loses_and_repeats_nothing() -> None:
    for cut in range(len(stream_after(None))):
        reader, seen = EventReader(3), list[Any]()
        for length in (cut, None):
            if not reader.ended:
                response = answer()
                text = stream_after(reader.headers.get("Last-Event-ID"))
                reader.opened(response)
                seen += reader.feed(text[:length])
                reader.closed(response)
        assert seen == LOG, cut


def test_it_gives_up_only_after_drops_in_a_row() -> None:
    reader = EventReader(2)
    for _ in range(9):
        reader.opened(answer())
        list(reader.feed(b": keepalive\n\n"))
        reader.closed(answer())
    reader.closed(answer())
    with pytest.raises(ConnectionFailed):
        reader.closed(answer())
