"""The errors of the client, and when a failed call is worth another try.

AtelierError
├── APIError                    an error response: status, code, param, message, request_id
│   ├── BadRequestError         400, 422
│   ├── AuthenticationError     401
│   ├── PermissionDeniedError   403
│   ├── NotFoundError           404
│   ├── ConflictError           409
│   ├── GoneError               410
│   ├── RateLimitError          429
│   └── ServerError             500 and above
├── ConnectionFailed            no response after all retries, or not one of the service
├── JobError                    the job ended without a result: job, code
│   ├── JobFailed
│   └── JobCanceled
├── TextChangedError            the text that was read is not what the job has
└── WaitTimeout                 the wait is over, the job goes on

Other statuses are an APIError.
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
LONGEST_PAUSE = 60.0  # if the service asks for more, the caller gets the error instead
PERMANENT = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)

Outcome = httpx.Response | httpx.TransportError


class AtelierError(Exception):
    """The base class of the client's errors."""


class APIError(AtelierError):
    """The service responded with an error."""

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
    """There is no key, or the service does not know it."""


class PermissionDeniedError(APIError):
    """The key may not do this."""


class NotFoundError(APIError):
    """It does not exist, or it belongs to another key."""


class ConflictError(APIError):
    """The job's state does not allow it, such as a result that is not ready."""


class GoneError(APIError):
    """It existed, but its time to live has passed."""


class RateLimitError(APIError):
    """There are too many requests; `retry_after` is when to try again, in seconds."""


class ServerError(APIError):
    """The service failed, or is not available now."""


class ConnectionFailed(AtelierError):
    """There is no response, or another program than the service responds."""


@dataclass(frozen=True)
class Problem:
    """Why a job has no result."""

    code: str
    message: str


class JobFacts(Protocol):
    """The fields of a job that its errors name."""

    @property
    def id(self) -> str: ...

    @property
    def status(self) -> str: ...

    @property
    def error(self) -> Problem | None: ...


class JobError(AtelierError):
    """A job ended without a result; it is in `job`."""

    def __init__(self, job: JobFacts) -> None:
        self.job = job
        problem = job.error or Problem(job.status, f"the job {job.status}")
        self.code = problem.code
        super().__init__(f"{job.id}: {problem.message} ({problem.code})")


class JobFailed(JobError):
    """The job failed."""


class JobCanceled(JobError):
    """The job was canceled."""


class TextChangedError(AtelierError):
    """The text is not what its deltas said: its worker was lost, and another worker wrote another
    text. The job, in `job`, has it whole."""

    def __init__(self, job: JobFacts) -> None:
        self.job = job
        super().__init__(f"{job.id}: its worker was lost, and another wrote other words")


class WaitTimeout(AtelierError, TimeoutError):
    """The wait is over; the job, in `job`, goes on."""

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


def check_outcome(outcome: Outcome) -> httpx.Response:
    """Returns a successful response. Raises APIError, ConnectionFailed."""
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
    """Returns what to do about an error, for a command's one line, or nothing."""
    match error:
        case AuthenticationError():
            return ": give a key that the service knows, by --api-key or ATELIER_API_KEY"
        case NotFoundError(code="model_not_found"):
            return ": see `atelier models`"
        case ConnectionFailed():
            return ": start it with `atelier up`, or name its address by --url or ATELIER_URL"
        case _:
            return ""


def parse_json(response: httpx.Response) -> Any:
    """Parses a response. Raises ConnectionFailed if another program than the service sent it."""
    try:
        return response.json()
    except ValueError:
        raise ConnectionFailed(f"{response.url}: what answers there is not Atelier") from None


def pause_before_retry(outcome: Outcome, attempt: int, max_retries: int) -> float | None:
    """Returns the seconds to wait before the next try, or None if there must not be one."""
    if attempt >= max_retries:
        return None
    backoff = min(LONGEST_BACKOFF, FIRST_PAUSE * 2.0**attempt) * random.uniform(0.5, 1)
    if isinstance(outcome, httpx.TransportError):
        return None if isinstance(outcome, PERMANENT) else backoff
    if outcome.status_code not in RETRIED or outcome.headers.get("x-should-retry") == "false":
        return None
    asked = retry_after(outcome)
    if asked is None:
        return backoff
    # a little later than asked, and not all at once: other clients wait for the same time
    return None if asked > LONGEST_PAUSE else asked + backoff * random.uniform(0, 0.25)


def retry_after(response: httpx.Response) -> float | None:
    """Returns the header in seconds; it has seconds or a date (RFC 9110, 10.2.3)."""
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
    """Returns the body's `error`, or `{}` if a proxy or another program sent the response."""
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
