"""The Studio: one page at `/` and below `/studio`, and its files below `/assets`."""

import hashlib
from functools import lru_cache
from html import escape

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from app.core.errors import NotFound
from app.http.compression import accepts_gzip, compressed
from app.http.responses import matches
from app.web.assets import PAGE, Assets

router = APIRouter(include_in_schema=False)

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
"""What the page may load: its own files and the API's answers. No script or style is inline."""
FOREVER = "public, max-age=31536000, immutable"
STYLES = ("base", "controls", "layout", "views")


@lru_cache(maxsize=1)
def read_assets() -> Assets:
    """The files of the page, read at the first request."""
    return Assets()


@lru_cache(maxsize=8)
def page(prefix: str) -> bytes:
    """The page below a proxy's prefix, which is empty where there is none."""
    assets = read_assets()
    base = f"{prefix}/assets/{assets.version}"
    styles = [f'<link rel="stylesheet" href="{base}/static/styles/{x}.css">' for x in STYLES]
    modules = [f'<link rel="modulepreload" href="{base}/{path}">' for path in assets.modules()]
    text = PAGE.read_text(encoding="utf-8")
    text = text.replace("{{prefix}}", escape(prefix)).replace("{{assets}}", escape(base))
    return text.replace("{{head}}", "\n".join(styles + modules)).encode()


@router.get("/")
@router.get("/studio")
@router.get("/studio/{path:path}")
async def studio(request: Request) -> Response:
    """The page. What it shows is in its address, and it asks the API for the rest."""
    content = page(request.scope.get("root_path", ""))
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache", "Content-Security-Policy": POLICY}
    if matches(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    return compressed(request, Response(content, headers=headers, media_type="text/html"))


@router.get("/assets/{version}/{path:path}")
async def asset(request: Request, version: str, path: str) -> Response:
    """One file of the page, for good. Raises NotFound for one of another version."""
    assets = read_assets()
    file = assets.get(path) if version == assets.version else None
    if file is None:
        raise NotFound("the page has no such file; load it again")
    headers = {"Cache-Control": FOREVER, "Vary": "Accept-Encoding"}
    gzipped = await run_in_threadpool(lambda: file.gzipped) if accepts_gzip(request) else None
    if gzipped is not None:
        headers["Content-Encoding"] = "gzip"
        return Response(gzipped, headers=headers, media_type=file.content_type)
    return Response(file.content, headers=headers, media_type=file.content_type)
