"""How the end of a job is told where the reply is what it made: an error, if it made nothing."""

from app.errors import AtelierError, Gone, NotReady, Unprocessable
from app.schemas import ErrorDetail, Job


def check_made(job: Job) -> None:
    """Raises what a client is told of a job that ended without its outputs, or lost them since."""
    if job.status == "canceled":
        raise NotReady(f"{job.id} was canceled", code="canceled")
    if job.status == "expired":
        raise Gone(f"what {job.id} made has expired")
    if job.error is not None:
        raise _failure(job.error)


def _failure(error: ErrorDetail) -> AtelierError:
    kind = AtelierError
    if error.type == Unprocessable.type:  # a file that it named was gone when it began
        kind = Gone if error.code == Gone.default_code else Unprocessable
    return kind(error.message, code=error.code, param=error.param)
