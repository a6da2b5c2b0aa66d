"""Gives the errors of some routes the shape that their dialect's clients read."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Translate = Callable[[int, Mapping[str, Any]], dict[str, Any]]
"""Makes a body of a status and the `error` of the service's own body."""


class DialectErrors:
    """Translates every error under some paths, whoever refuses."""

    def __init__(self, app: ASGIApp, paths: re.Pattern[str], translate: Translate) -> None:
        """`paths` is searched for, so that a prefix may stand before it."""
        self._app, self._paths, self._translate = app, paths, translate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._paths.search(scope["path"]):
            await self._app(scope, receive, send)
            return
        start: Message | None = None
        body = b""

        async def send_translated(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start" and message["status"] >= 400:
                start = message
                return
            if start is None:
                await send(message)
                return
            body += message.get("body", b"")
            translated = self._translated(start["status"], body)
            if translated is None and message.get("more_body"):
                return
            if translated is not None:
                MutableHeaders(raw=start["headers"])["content-length"] = str(len(translated))
            first, start = start, None
            await send(first)
            await send({**message, "body": body if translated is None else translated})

        await self._app(scope, receive, send_translated)

    def _translated(self, status: int, body: bytes) -> bytes | None:
        """Returns an error of the service in the dialect; None where the body is none, or not yet
        whole."""
        try:
            return json.dumps(self._translate(status, json.loads(body)["error"])).encode()
        except (ValueError, TypeError, KeyError):
            return None
