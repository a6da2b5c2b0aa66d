"""Submissions whose outcome is unknown, so that a client that sends one again gets its job.

1. Every submission has an idempotency key: the client's own, or a token of this service.
2. Where the server did not answer in time, the client gets 503 and the token. It may send the
   request again with the token as its Idempotency-Key, to any API process.
3. A client that sends the same request again without a key gets the token from this process. Each
   token is given once, so two requests of the same body never share a job.
"""

import time
from collections import OrderedDict
from dataclasses import dataclass, field

KEPT_SECONDS = 600.0  # that a token of this service is remembered, here and by the server
MOST = 10_000  # submissions remembered


@dataclass
class Unresolved:
    """The tokens of one process, by what was asked; used by its event loop only."""

    _tokens: OrderedDict[str, list[tuple[float, str]]] = field(default_factory=OrderedDict)

    def remember(self, request: str, token: str) -> None:
        """Nobody knows whether this submission made a job."""
        until = time.monotonic() + KEPT_SECONDS
        self._tokens.setdefault(request, []).append((until, token))
        self._tokens.move_to_end(request)
        while len(self._tokens) > MOST:
            self._tokens.popitem(last=False)

    def take(self, request: str) -> str | None:
        """The token of an earlier try of this request, if there is one that nobody has taken."""
        now, tokens = time.monotonic(), self._tokens.pop(request, [])
        alive = [(until, token) for until, token in tokens if until > now]
        if not alive:
            return None
        if alive[1:]:
            self._tokens[request] = alive[1:]
        return alive[0][1]
