"""How the end of a job is told where the reply is what it made: an error, if it made nothing."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeVar

from app.core.errors import AtelierError, Gone, InvalidRequest, NotReady, Unavailable, Unprocessable
from app.core.schemas import ErrorDetail, Job

E = TypeVar("E", bound=AtelierError)
NO_OTHERS: Mapping[str, str] = MappingProxyType({})
KINDS: Mapping[str, type[AtelierError]] = {
    Gone.default_code: Gone,
    "context_length_exceeded": InvalidRequest,
}
"""How some errors of a request are told that only its model could find."""


def check_outputs(job: Job, names: Mapping[str, str] = NO_OTHERS) -> None:
    """Raises what a client is told of a job that ended without its outputs, or lost them since.

    `names` are what the client calls some of the model's own fields.
    """
    if job.status == "canceled":
        raise NotReady(f"{job.id} was canceled", code="canceled")
    if job.status == "expired":
        raise Gone(f"what {job.id} made has expired")
    if job.error is not None:
        raise renamed(_failure(job.error), names)
    if any(name.startswith("outputs.") for name in job.omitted):
        message = "what was written can't be read from the store now; try again"
        raise Unavailable(message, code="store_unavailable", retry_after=5)


def renamed(error: E, names: Mapping[str, str]) -> E:
    """The same error, by the name that the client knows: that of an entry of a list, or of a
    field."""
    param = error.param or ""
    ours, _, rest = (param, "", "") if param in names else param.partition(".")
    if ours not in names:
        return error
    message = error.message.replace(ours, names[ours], 1)
    param = ".".join(filter(None, (names[ours], rest)))
    return type(error)(message, code=error.code, param=param)


def _failure(error: ErrorDetail) -> AtelierError:
    kind = AtelierError
    if error.type == Unprocessable.type:  # a file that it named was gone when it began
        kind = KINDS.get(error.code, Unprocessable)
    return kind(error.message, code=error.code, param=error.param)
