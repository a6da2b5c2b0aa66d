"""What can go wrong for a caller of the client, and when a call is worth another try.

AtelierError
├── APIError                    the service said no: status, code, param, message, request_id
│   ├── BadRequestError         400, 422
│   ├── AuthenticationError     401
│   ├── PermissionDeniedError   403
│   ├── NotFoundError           404
│   ├── ConflictError           409
│   ├── GoneError               410
│   ├── RateLimitError          429
│   └── ServerError             500 and above
├── ConnectionFailed            no answer, however often it was tried, or not the service's
├── JobError                    the job ended without a result: job, code
│   ├── JobFailed
│   └── JobCanceled
└── WaitTimeout                 the job goes on, the wait does not

A status that has no class of its own is an APIError.
"""

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

import httpx

RETRIED = {429, 503}
FIRST_PAUSE = 0.5  # seconds; doubled with each try
LONGEST_BACKOFF = 8.0
LONGEST_PAUSE = 60.0  # a service that asks for more than this is told to the caller instead
UNCURED = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)  # by trying again

Outcome = httpx.Response | httpx.TransportError


class AtelierError(Exception):
    """Everything that this client raises on purpose."""


class APIError(AtelierError):
    """An answer of the service that is an error."""

    def __init__(self, response: httpx.Response) -> None:
        detail = _detail(response)
        self.status = response.status_code
        self.message = str(detail.get("message") or f"HTTP {self.status}")
        self.code = str(detail.get("code") or "unknown")
        self.param: str | None = detail.get("param")
        self.request_id = response.headers.get("x-request-id")
        self.retry_after = retry_after(response)
        super().__init__(f"{self.message} ({self.status} {self.code})")


class BadRequestError(APIError):
    """A parameter is missing, unknown or out of range; `param` says which."""


class AuthenticationError(APIError):
    """No key, or one that the service does not know."""


class PermissionDeniedError(APIError):
    """The key may not do this."""


class NotFoundError(APIError):
    """There is no such thing, or it belongs to another key."""


class ConflictError(APIError):
    """Not in this state: a result that is not ready."""


class GoneError(APIError):
    """It was there once; its time to live has passed."""


class RateLimitError(APIError):
    """Too much is asked at once; `retry_after` says when to come back, in seconds."""


class ServerError(APIError):
    """The service failed, or can't work now."""


class ConnectionFailed(AtelierError):
    """Nobody answers, the connection broke each time, or it is not the service that answers."""


@dataclass(frozen=True)
class Problem:
    """Why a job has no result."""

    code: str
    message: str


class JobFacts(Protocol):
    """What an error says of a job."""

    @property
    def id(self) -> str: ...

    @property
    def status(self) -> str: ...

    @property
    def error(self) -> Problem | None: ...


class JobError(AtelierError):
    """A job's end that gives no result; the job, as it ended, is in `job`."""

    def __init__(self, job: JobFacts) -> None:
        self.job = job
        problem = job.error or Problem(job.status, f"the job {job.status}")
        self.code = problem.code
        super().__init__(f"{job.id}: {problem.message} ({problem.code})")


class JobFailed(JobError):
    """It could not be made."""


class JobCanceled(JobError):
    """Someone asked for its end."""


class TextChangedError(AtelierError):
    """The deltas of a text are not what it begins with: its worker was lost, and another wrote
    other words. The job, in `job`, has them whole."""

    def __init__(self, job: JobFacts) -> None:
        self.job = job
        super().__init__(f"{job.id}: its worker was lost, and another wrote other words")


class WaitTimeout(AtelierError, TimeoutError):
    """The time given to wait is over; the job, in `job`, goes on."""

    def __init__(self, job: JobFacts, seconds: float) -> None:
        self.job = job
        super().__init__(f"{job.id} is {job.status} after {seconds:g} s")


BY_STATUS: dict[int, type[APIError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    422: BadRequestError,
    429: RateLimitError,
}


def error_of(response: httpx.Response) -> APIError:
    status = response.status_code
    return BY_STATUS.get(status, ServerError if status >= 500 else APIError)(response)


def checked(outcome: Outcome) -> httpx.Response:
    """The answer, if it is one. Raises APIError, ConnectionFailed."""
    if isinstance(outcome, httpx.TransportError):
        what = str(outcome) or type(outcome).__name__
        if isinstance(outcome, httpx.ConnectError):
            raise ConnectionFailed(
                f"no service answers at {_origin(outcome)} ({what})"
            ) from outcome
        raise ConnectionFailed(f"{_where(outcome)}: {what}") from outcome
    if not outcome.is_success:
        raise error_of(outcome)
    return outcome


def advice(error: Exception) -> str:
    """What to do about an error, for a command's one line; empty where its message says it all."""
    match error:
        case AuthenticationError():
            return ": give a key that the service knows, by --api-key or ATELIER_API_KEY"
        case NotFoundError(code="model_not_found"):
            return ": see `atelier models`"
        case ConnectionFailed():
            return ": start it with `atelier up`, or name its address by --url or ATELIER_URL"
        case _:
            return ""


def json_of(answer: httpx.Response) -> Any:
    """Raises ConnectionFailed where something else than the service has answered."""
    try:
        return answer.json()
    except ValueError:
        raise ConnectionFailed(f"{answer.url}: what answers there is not Atelier") from None


def pause_before_retry(outcome: Outcome, tries: int, most: int) -> float | None:
    """Seconds to rest before the call is tried again, or None where it must not be."""
    if tries >= most:
        return None
    backoff = min(LONGEST_BACKOFF, FIRST_PAUSE * 2.0**tries) * random.uniform(0.5, 1)
    if isinstance(outcome, httpx.TransportError):
        return None if isinstance(outcome, UNCURED) else backoff
    if outcome.status_code not in RETRIED or outcome.headers.get("x-should-retry") == "false":
        return None
    asked = retry_after(outcome)
    if asked is None:
        return backoff
    # a little later than asked, and not all at once: others were told the same
    return None if asked > LONGEST_PAUSE else asked + backoff * random.uniform(0, 0.25)


def retry_after(response: httpx.Response) -> float | None:
    """The header in seconds, given as such or as a date (RFC 9110, 10.2.3)."""
    value: str = response.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    seconds: float = (aware - datetime.now(UTC)).total_seconds()
    return max(0.0, seconds)


def _detail(response: httpx.Response) -> dict[str, Any]:
    """The `error` of the body; empty where a proxy or another program has answered."""
    try:
        body = response.json()
    except ValueError:
        return {}
    detail = body.get("error") if isinstance(body, dict) else None
    return detail if isinstance(detail, dict) else {}


def _origin(error: httpx.ConnectError) -> str:
    url = error.request.url
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


def _where(error: httpx.TransportError) -> str:
    try:
        return str(error.request.url)
    except RuntimeError:  # it broke before there was a request
        return "no answer"
