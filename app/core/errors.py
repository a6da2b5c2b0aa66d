"""What can go wrong for a client, and the one shape it is told in.

AtelierError
├── InvalidRequest          400  invalid_request_error
│   └── Unprocessable       422  (a field is missing, unknown or out of range)
├── Unauthenticated         401  authentication_error
├── Forbidden               403  permission_error
├── NotFound                404  invalid_request_error
├── NotAllowed              405  invalid_request_error
├── RequestTimeout          408  invalid_request_error
├── NotReady                409  conflict_error
├── Gone                    410  invalid_request_error
├── TooLarge                413  invalid_request_error
├── UnsupportedMedia        415  invalid_request_error
├── OutOfRange              416  invalid_request_error
├── Misdirected             421  invalid_request_error
├── RateLimited             429  rate_limit_error      (with Retry-After)
├── NotInstalled            501  server_error
└── Unavailable             503  server_error          (with Retry-After)
"""

from typing import ClassVar

from app.core.schemas import ErrorBody, ErrorDetail

RETRY = {408, 429, 500, 503}  # a retry may cure these; the others say that it can't


class AtelierError(Exception):
    """An error that a client may read."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    default_code: ClassVar[str] = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.param = param
        self.retry_after = retry_after

    @property
    def body(self) -> ErrorBody:
        detail = ErrorDetail(message=self.message, type=self.type, param=self.param, code=self.code)
        return ErrorBody(error=detail)

    @property
    def headers(self) -> dict[str, str]:
        """Retry-After with every 429 and 503; x-should-retry where a retry can't help."""
        if self.status not in RETRY:
            return {"x-should-retry": "false"}
        after = self.retry_after or (1 if self.status in (429, 503) else None)
        return {} if after is None else {"Retry-After": str(after)}


class InvalidRequest(AtelierError):
    status, type, default_code = 400, "invalid_request_error", "invalid_parameter"


class Unprocessable(InvalidRequest):
    status = 422


class Unauthenticated(AtelierError):
    status, type, default_code = 401, "authentication_error", "invalid_api_key"

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": "Bearer", **super().headers}


class Forbidden(AtelierError):
    status, type, default_code = 403, "permission_error", "insufficient_scope"


class NotFound(AtelierError):
    status, type, default_code = 404, "invalid_request_error", "not_found"


class NotAllowed(AtelierError):
    status, type, default_code = 405, "invalid_request_error", "method_not_allowed"


class RequestTimeout(AtelierError):
    status, type, default_code = 408, "invalid_request_error", "request_timeout"


class NotReady(AtelierError):
    status, type, default_code = 409, "conflict_error", "result_not_ready"


class Gone(AtelierError):
    status, type, default_code = 410, "invalid_request_error", "artifact_expired"


class TooLarge(AtelierError):
    status, type, default_code = 413, "invalid_request_error", "payload_too_large"


class UnsupportedMedia(AtelierError):
    status, type, default_code = 415, "invalid_request_error", "unsupported_media_type"


class OutOfRange(AtelierError):
    status, type, default_code = 416, "invalid_request_error", "invalid_parameter"


class Misdirected(AtelierError):
    status, type, default_code = 421, "invalid_request_error", "host_not_allowed"


class RateLimited(AtelierError):
    status, type, default_code = 429, "rate_limit_error", "rate_limit_exceeded"


class NotInstalled(AtelierError):
    status, type, default_code = 501, "server_error", "not_installed"


class Unavailable(AtelierError):
    status, type, default_code = 503, "server_error", "queue_unavailable"
