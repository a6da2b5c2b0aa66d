"""Which replies are compressed."""

import gzip

import pytest
from fastapi import Request, Response

from app.http.compression import LEAST, accepts_gzip, compressed


def request(accepted: str | None) -> Request:
    headers = [] if accepted is None else [(b"accept-encoding", accepted.encode())]
    return Request({"type": "http", "headers": headers})


@pytest.mark.parametrize("accepted", ["gzip", "br, GZIP", "deflate, gzip;q=0.5", "gzip; q=1"])
def test_gzip_is_accepted(accepted: str) -> None:
    assert accepts_gzip(request(accepted))


@pytest.mark.parametrize(
    "accepted", [None, "", "br", "identity", "gzip;q=0", "gzip; q=0.000", "x-gzip"]
)
def test_gzip_is_not_accepted(accepted: str | None) -> None:
    assert not accepts_gzip(request(accepted))


def test_a_large_reply_is_compressed_and_says_so() -> None:
    body = b"model " * LEAST
    reply = compressed(request("gzip"), Response(body))
    assert gzip.decompress(bytes(reply.body)) == body
    assert reply.headers["content-encoding"] == "gzip"
    assert reply.headers["content-length"] == str(len(bytes(reply.body)))
    assert reply.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize(("size", "accepted"), [(LEAST - 1, "gzip"), (LEAST, "br")])
def test_others_are_left_as_they_are(size: int, accepted: str) -> None:
    reply = compressed(request(accepted), Response(b"a" * size))
    assert bytes(reply.body) == b"a" * size
    assert "content-encoding" not in reply.headers
    assert reply.headers["vary"] == "Accept-Encoding"
