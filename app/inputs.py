"""The posted files that a request refers to: its owner's, still there, and fit for use.

What can't be used is told when it is asked for, so that no job fails for it later.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from app.downloads import read_note
from app.errors import Gone, NotFound, Unprocessable
from app.pictures import Unreadable, read_picture
from app.services import Services
from app.store import Missing
from models.fields import posted_fields
from models.params import Params, posted_files

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

READERS: Mapping[str, Callable[[bytes], "Picture"]] = {"image": read_picture}
"""How a file of each kind is tried; its content type begins with the kind."""


async def check_inputs(services: Services, owner: str, wanted: Params) -> None:
    """Raises NotFound, Gone or Unprocessable, with the param that names the file."""
    marks = posted_fields(type(wanted))
    sizes: dict[str, tuple[int, int]] = {}
    for param, sha256 in posted_files(wanted).items():
        sizes[param] = await _size(services, owner, param, sha256, marks[param].kind)
    for param, size in sizes.items():
        like = marks[param].like
        if like is not None and size != sizes.get(like, size):
            message = f"{param} must be as large as {like}, {_by(sizes[like])}, and is {_by(size)}"
            raise Unprocessable(message, param=param)


async def _size(
    services: Services, owner: str, param: str, sha256: str, kind: str
) -> tuple[int, int]:
    """Width and height of a picture that can be used."""
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
            picture = await run_in_threadpool(lambda: READERS[kind](services.store.get(sha256)))
    except Missing:
        raise gone from None
    except Unreadable as error:
        raise Unprocessable(f"{param} {error}", param=param) from None
    return picture.size


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]} by {size[1]}"
