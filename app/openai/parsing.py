"""What reading a request in OpenAI's dialect begins with: the model that it names, and the fields
that are OpenAI's alone. Null is as good as left out."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from app.core.errors import Unprocessable
from app.http.validation_errors import Schema, explain_details

A = TypeVar("A", bound=BaseModel)


def named_model(body: Mapping[str, Any], default: str) -> str:
    """The model that a body names. Raises Unprocessable where that is no name."""
    model = body.get("model")
    if model is None:
        return default
    if not isinstance(model, str):
        raise Unprocessable("model must be a string", param="model")
    return model


def read_as(kind: type[A], text: bytes, schema: Callable[[], Schema]) -> A:
    """A body by the letter. Raises InvalidRequest, in words of the schema."""
    try:
        return kind.model_validate_json(text, strict=True)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        raise explain_details(problems, schema()) from None
