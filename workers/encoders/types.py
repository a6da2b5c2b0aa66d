"""What becomes a file beside artifacts, what is written into it, and what is said of it."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from models.artifacts import Image
from models.modalities import Role


@dataclass(frozen=True)
class Facts:
    """What made a file: posted again, they repeat it. `n` and `grid` only of a sheet of items."""

    model: str
    checkpoint: str  # sha256
    params: dict[str, Any]
    seed: int
    output_size: str | None = None
    n: int | None = None
    grid: bool | None = None

    def text(self) -> str:
        """ASCII, the same for equal facts."""
        facts = {name: x for name, x in asdict(self).items() if x is not None}
        return json.dumps(facts, sort_keys=True)


@dataclass(frozen=True)
class Sheet:
    """The pictures of a job's items, in order, to be laid out on one sheet."""

    pictures: tuple[Image, ...]


@dataclass(frozen=True)
class Encoded:
    """A file's bytes, and what an output says of them: measures where there is such a thing."""

    data: bytes
    content_type: str
    role: Role
    width: int | None = None
    height: int | None = None
    frames: int | None = None  # of an animation
    seconds: float | None = None  # of what is heard, or moves
    fps: float | None = None  # frames a second, of a video
    rate: int | None = None  # samples a second
    channels: int | None = None
    text: str | None = None  # what was written, and facts about it
    title: str | None = None
    finish_reason: str | None = None
    stop_sequence: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    notes: tuple[str, ...] = ()
