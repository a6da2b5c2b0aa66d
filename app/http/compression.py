"""Compresses replies that are large and much alike, such as the listing of models."""

import gzip

from fastapi import Request, Response

LEAST = 1_000  # bytes of a body that is worth it
LEVEL = 6


def accepts_gzip(request: Request) -> bool:
    """Whether `Accept-Encoding` allows gzip (RFC 9110, 12.5.3)."""
    for item in request.headers.get("accept-encoding", "").lower().split(","):
        coding, _, weight = item.replace(" ", "").partition(";q=")
        if coding == "gzip":
            return weight.strip("0.") != "" or weight == ""
    return False


def compressed(request: Request, response: Response) -> Response:
    """Returns the response, gzipped where that is allowed and worth it. It must be whole."""
    response.headers.add_vary_header("Accept-Encoding")
    body = bytes(response.body)
    if len(body) >= LEAST and accepts_gzip(request):
        response.body = gzip.compress(body, LEVEL, mtime=0)
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Content-Length"] = str(len(response.body))
    return response
