"""The vectors of a job in OpenAI's words, read from its .npy file without NumPy."""

import base64
import re
import sys
from array import array
from collections.abc import Callable
from typing import Any, Literal

from app.core.errors import Gone
from app.core.schemas import Job, Schema
from app.core.store import Missing, Store

MAGIC = b"\x93NUMPY\x01\x00"  # and the version
HEADER = re.compile(rb"'descr': '<f4', 'fortran_order': False, 'shape': \((\d+), (\d+)\)")


class EmbeddingVector(Schema):
    """The vector of one text."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingUsage(Schema):
    prompt_tokens: int
    total_tokens: int


class EmbeddingReply(Schema):
    """The vectors, in the order of their texts."""

    object: Literal["list"] = "list"
    data: list[EmbeddingVector]
    model: str
    usage: EmbeddingUsage
    job_id: str


def reply_body(job: Job, model: str, encoding: str | None, store: Store) -> str:
    """The reply as JSON; `model` is what the client called it. Blocks. Raises StoreError, Gone."""
    output = job.outputs[0]
    try:
        rows = rows_of(store.get(output.sha256))
    except Missing:
        raise Gone("these vectors are no longer stored") from None
    write: Callable[[bytes], Any] = in_base64 if encoding == "base64" else as_numbers
    data = [EmbeddingVector(index=i, embedding=write(row)) for i, row in enumerate(rows)]
    count = output.prompt_tokens or 0
    usage = EmbeddingUsage(prompt_tokens=count, total_tokens=count)
    reply = EmbeddingReply(data=data, model=model, usage=usage, job_id=job.id)
    return reply.model_dump_json()


def rows_of(file: bytes) -> list[bytes]:
    """The rows of a .npy file of version 1.0, each in little-endian float32.

    Raises ValueError for a file of another form.
    """
    start = len(MAGIC) + 2
    begin = start + int.from_bytes(file[len(MAGIC) : start], "little")
    match = HEADER.search(file[start:begin])
    if not file.startswith(MAGIC) or match is None:
        raise ValueError("it is no array of float32 in rows")
    count, length = (int(number) for number in match.groups())
    if len(file) != begin + 4 * count * length:
        raise ValueError("the array is cut short")
    size = 4 * length
    return [file[begin + i * size : begin + (i + 1) * size] for i in range(count)]


def in_base64(row: bytes) -> str:
    return base64.b64encode(row).decode()


def as_numbers(row: bytes) -> list[float]:
    """The numbers of a row. Nine digits tell a float32."""
    numbers = array("f", row)
    if sys.byteorder == "big":
        numbers.byteswap()
    return [float(f"{x:.9g}") for x in numbers]
