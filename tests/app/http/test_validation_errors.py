"""What the API says of a value that is the only one supported."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from app.http.validation_errors import explain_details


class Body(BaseModel):
    exact: Annotated[int, Field(ge=8, le=8)] = 8
    share: Annotated[float, Field(ge=0, le=0)] | None = None
    nothing: Annotated[list[Any], Field(max_length=0)] = []
    empty: Annotated[str, Field(max_length=0)] = ""
    kind: Literal["text"] = "text"
    one_of: Literal["a", "b"] = "a"
    ranged: Annotated[int, Field(ge=1, le=3)] = 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"exact": 9}, "exact must be 8: other values are not supported"),
        ({"share": 0.5}, "share must be 0: other values are not supported"),
        ({"nothing": [1]}, "nothing must have no entries: it is not supported"),
        ({"empty": "x"}, "empty must have no characters: it is not supported"),
        ({"kind": "json"}, "kind must be 'text': other values are not supported"),
        ({"one_of": "c"}, "one_of must be one of 'a', 'b'"),
        ({"ranged": 4}, "ranged must be between 1 and 3"),
    ],
)
def test_the_only_value_that_is_supported_is_named(body: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Body.model_validate(body)
    errors = caught.value.errors(include_url=False, include_input=False)
    assert explain_details(errors, Body.model_json_schema()).message == message
