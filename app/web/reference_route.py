"""The API reference at `/docs`: Swagger UI over `/openapi.json`, with nothing of other hosts."""

import asyncio
import hashlib
from functools import lru_cache
from html import escape

from fastapi import APIRouter, Request, Response

from app.http.responses import matches
from app.web.assets import HERE
from app.web.routes import read_assets

router = APIRouter(include_in_schema=False)

PAGE = HERE / "reference" / "page.html"
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""What the reference may load. It shows answers of the API as pictures and sound, from blobs."""


@lru_cache(maxsize=8)
def reference_page(prefix: str) -> bytes:
    """The page below a proxy's prefix, which is empty where there is none."""
    base = f"{prefix}/assets/{read_assets().version}"
    text = PAGE.read_text(encoding="utf-8")
    return text.replace("{{prefix}}", escape(prefix)).replace("{{assets}}", escape(base)).encode()


@router.get("/docs")
async def show_reference(request: Request) -> Response:
    """Every operation of the API, to be read and tried."""
    content = await asyncio.to_thread(reference_page, request.scope.get("root_path", ""))
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache", "Content-Security-Policy": POLICY}
    if matches(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type="text/html")
