"""The posted files that a request refers to: its owner's, still there, and fit for use.

A file that can't be used is refused with the request, so that no job fails for it later.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from app.core.errors import Gone, NotFound, Unprocessable
from app.core.images.image_reader import UnreadableFile, read_picture
from app.core.store import Missing
from app.files.artifact_store import ArtifactStore
from app.files.downloads import ArtifactRecord, read_note
from app.queue.queue import Queue
from models.checkpoint.header import Header
from models.families import FAMILIES
from models.music.midi import read_midi
from models.params.base import Params, posted_files
from models.params.fields import posted_fields
from models.score import ScoreError

Size = tuple[int, int]  # width and height of a picture


@dataclass(frozen=True)
class Kind:
    """A kind of file that a param can name."""

    description: str
    types: tuple[str, ...]
    """The content types that can be read."""
    size: Callable[[bytes, Header], Size | None]
    """Tries a file for a model: the size of a picture. Raises Unreadable."""


def _picture(data: bytes, header: Header) -> Size:
    return read_picture(data).size


def _score(data: bytes, header: Header) -> None:
    """What the model could not play is told as well."""
    pitches = FAMILIES[header.family].facts(header).pitches
    try:
        read_midi(data, pitches=range(128) if pitches is None else pitches)
    except ScoreError as error:
        raise UnreadableFile(f"can't be used: {error}") from None


KINDS: Mapping[str, Kind] = {
    "image": Kind(
        "a PNG, JPEG, GIF or WebP image",
        ("image/png", "image/jpeg", "image/gif", "image/webp"),
        _picture,
    ),
    "audio/midi": Kind("a MIDI file", ("audio/midi",), _score),
}
"""By what their content types begin with."""


async def check_inputs(
    queue: Queue, store: ArtifactStore, owner: str, wanted: Params, header: Header
) -> None:
    """Raises NotFound, Gone or Unprocessable, with the param that names the file."""
    marks = posted_fields(type(wanted))
    sizes: dict[str, Size | None] = {}
    for param, sha256 in posted_files(wanted).items():
        note = await _note(queue, owner, param, sha256)
        sizes[param] = await _tried(store, param, note, marks[param].kind, header)
    for param, size in sizes.items():
        like = marks[param].like
        if size and like is not None and (other := sizes.get(like)) and size != other:
            message = f"{param} must be as large as {like}, {_by(other)}, and is {_by(size)}"
            raise Unprocessable(message, param=param)


async def _note(queue: Queue, owner: str, param: str, sha256: str) -> ArtifactRecord:
    try:
        return await read_note(queue.connection, owner, sha256)
    except Gone:
        raise _gone(param) from None
    except NotFound as error:
        message = f"{param} names no file that you have posted or made"
        raise NotFound(message, code=error.code, param=param) from None


async def _tried(
    store: ArtifactStore, param: str, note: ArtifactRecord, kind: str, header: Header
) -> Size | None:
    wanted = KINDS[kind]
    if note.content_type not in wanted.types:
        message = f"{param} must be {wanted.description}, not {note.content_type}"
        raise Unprocessable(message, param=param)
    try:
        async with store.check_slot(kind):
            data = await store.get(note.sha256)
            return await run_in_threadpool(wanted.size, data, header)
    except Missing:
        raise _gone(param) from None
    except UnreadableFile as error:
        raise Unprocessable(f"{param} {error}", param=param) from None


def _gone(param: str) -> Gone:
    return Gone(f"the file that {param} names has expired", param=param)


def _by(size: Size) -> str:
    return f"{size[0]} by {size[1]}"
