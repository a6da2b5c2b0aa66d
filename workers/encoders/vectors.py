"""Vectors to files: a NumPy array, or JSON with what made it in front.

An array is nothing but its numbers, since its format has no room for other facts.
"""

import io
import json
from collections.abc import Callable

import numpy as np

from models.artifacts import Vectors
from models.modalities import VECTOR_FORMATS
from workers.encoders.types import Encoded, Facts


def vector_file(vectors: Vectors, output_format: str, facts: Facts) -> Encoded:
    """The vectors in one of VECTOR_FORMATS."""
    content_type, write = WRITERS[output_format]
    return Encoded(write(vectors, facts), content_type, "vectors", prompt_tokens=vectors.read)


def _array(vectors: Vectors, facts: Facts) -> bytes:
    """A .npy file of version 1.0: (N, D), little-endian float32, a row after another."""
    file = io.BytesIO()
    rows = np.ascontiguousarray(vectors.values.numpy(), dtype="<f4")
    np.lib.format.write_array(file, rows, version=(1, 0), allow_pickle=False)
    return file.getvalue()


def _json(vectors: Vectors, facts: Facts) -> bytes:
    """Nine digits of a number tell its float32."""
    rows = [[float(f"{x:.9g}") for x in row] for row in vectors.values.tolist()]
    return json.dumps({"atelier": json.loads(facts.text()), "vectors": rows}).encode()


Write = Callable[[Vectors, Facts], bytes]
WRITERS: dict[str, tuple[str, Write]] = dict(
    zip(
        VECTOR_FORMATS,
        (("application/x-npy", _array), ("application/json", _json)),
        strict=True,
    )
)
"""The content type of each format, and how it is written."""
