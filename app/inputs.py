"""The posted files that a request refers to: its owner's, still there, and fit for use.

What can't be used is told when it is asked for, so that no job fails for it later.
"""

from collections.abc import Callable, Mapping

from starlette.concurrency import run_in_threadpool

from app.downloads import read_note
from app.errors import Gone, NotFound, Unprocessable
from app.pictures import Unreadable, read_picture
from app.services import Services
from app.store import Missing
from models.fields import posted_fields
from models.params import Params, posted_files

READERS: Mapping[str, Callable[[bytes], object]] = {"image": read_picture}
"""How a file of each kind is tried; its content type begins with the kind."""


async def check_inputs(services: Services, owner: str, wanted: Params) -> None:
    """Raises NotFound, Gone or Unprocessable, with the param that names the file."""
    kinds = posted_fields(type(wanted))
    for param, sha256 in posted_files(wanted).items():
        await _check(services, owner, param, sha256, kinds[param])


async def _check(services: Services, owner: str, param: str, sha256: str, kind: str) -> None:
    gone = Gone(f"the file that {param} names has expired", param=param)
    try:
        note = await read_note(services.reader_redis, owner, sha256)
    except Gone:
        raise gone from None
    except NotFound as error:
        message = f"{param} names no file that you have posted or made"
        raise NotFound(message, code=error.code, param=param) from None
    if not note.content_type.startswith(f"{kind}/"):
        raise Unprocessable(f"{param} must be an {kind}, not {note.content_type}", param=param)
    try:
        async with services.reading:
            await run_in_threadpool(lambda: READERS[kind](services.store.get(sha256)))
    except Missing:
        raise gone from None
    except Unreadable as error:
        raise Unprocessable(f"{param} {error}", param=param) from None
