"""The search for a number that is none, among all that a training would save."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor


def not_finite(value: Any, name: str) -> str | None:
    """The name of the first tensor that is not finite, in dicts and lists of any depth."""
    if isinstance(value, Tensor):
        return None if value.isfinite().all() else name
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    names = (not_finite(item, f"{name}.{key}") for key, item in items)
    return next((where for where in names if where), None)
