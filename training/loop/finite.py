"""The search for a number that is none, among all that a training would save."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor


def not_finite(held: Any, name: str) -> str | None:
    """The name of the first tensor that is not finite, in dicts and lists of any depth."""
    if isinstance(held, Tensor):
        return None if held.isfinite().all() else name
    parts: Iterable[tuple[Any, Any]] = ()
    if isinstance(held, dict):
        parts = held.items()
    elif isinstance(held, list | tuple):
        parts = enumerate(held)
    found = (not_finite(part, f"{name}.{key}") for key, part in parts)
    return next((where for where in found if where), None)
