"""Pictures in base64, as the web UI's clients post them, and the texts in PNG files."""

import base64
import binascii
import io
import json
from typing import Any

from app.core.errors import Unprocessable
from app.core.images.image_reader import UnreadableFile, read_picture

KEY = "atelier"
"""The name of the text in a PNG that says what made it."""
THEIRS = "parameters"
"""The name of the web UI's own."""


def decoded(text: str, param: str) -> bytes:
    """Returns the bytes of base64, or of a data URL. Raises Unprocessable of `param`."""
    encoded = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise Unprocessable(f"{param} must be base64", param=param) from None


def inverted(data: bytes, param: str) -> bytes:
    """Returns a mask with black for white, as PNG. Blocks. Raises Unprocessable of `param`."""
    from PIL import ImageOps

    try:
        picture = read_picture(data)
    except UnreadableFile as error:
        raise Unprocessable(f"{param} {error}", param=param) from None
    file = io.BytesIO()
    ImageOps.invert(picture.convert("L")).save(file, "PNG")
    return file.getvalue()


def texts_of(data: bytes, param: str) -> dict[str, str]:
    """Returns the texts in a PNG file by their names. Blocks. Raises Unprocessable of `param`."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
            info = dict(picture.info)
    except Exception:  # a decoder says in a dozen ways that a file is broken
        raise Unprocessable(f"{param} must be a PNG file", param=param) from None
    return {str(name): str(value) for name, value in info.items() if isinstance(value, str)}


def facts_of(texts: dict[str, str]) -> dict[str, Any] | None:
    """Returns what the service wrote into a picture that it made; None of any other."""
    try:
        facts = json.loads(texts.get(KEY, ""))
    except ValueError:
        return None
    known = {"model": str, "checkpoint": str, "params": dict, "seed": int}
    if not isinstance(facts, dict):
        return None
    return facts if all(isinstance(facts.get(k), t) for k, t in known.items()) else None
