"""The types of params that make single tokens more or less likely. No torch."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

MOST_BIASED = 1000  # tokens of one request
TOKEN = r"^(0|[1-9][0-9]{0,5})$"
"""A token's number in the model's vocabulary, as the key of a JSON object."""


def _by_tokens(value: dict[str, float]) -> dict[str, float]:
    for name in value:
        if not re.match(TOKEN, name):
            raise ValueError(f'it must have numbers of tokens as keys, such as "42", not {name!r}')
    return value


PresencePenalty = Annotated[
    float,
    Field(
        ge=-2.0,
        le=2.0,
        description="Taken from the logit of each token that was written before; below 0, such "
        "tokens become likelier.",
        examples=[0.5],
    ),
]
FrequencyPenalty = Annotated[
    float,
    Field(
        ge=-2.0,
        le=2.0,
        description="Taken from a token's logit as many times as it was written before.",
        examples=[0.5],
    ),
]
LogitBias = Annotated[
    dict[str, Annotated[float, Field(ge=-100.0, le=100.0)]],
    Field(
        max_length=MOST_BIASED,
        json_schema_extra={"propertyNames": {"pattern": TOKEN}},
        description="Added to the logits of tokens, by their numbers in the model's vocabulary; "
        "-100 all but forbids a token.",
        examples=[{"42": -100}],
    ),
    AfterValidator(_by_tokens),
]
