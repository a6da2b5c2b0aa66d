"""How the tokens of a text are drawn: the params of every model that writes. No torch."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

LIKELIEST = 20  # tokens whose chances can be asked for beside the one that was drawn
LONGEST_CONTEXT = 100_000  # tokens; each checkpoint has a limit of its own
MOST_BIASED = 1000  # tokens of one request
TOKEN = r"^(0|[1-9][0-9]{0,5})$"
"""A token's number in the model's vocabulary, as the key of a JSON object."""


def _by_tokens(value: dict[str, float]) -> dict[str, float]:
    for name in value:
        if not re.match(TOKEN, name):
            raise ValueError(f'it must have numbers of tokens as keys, such as "42", not {name!r}')
    return value


Temperature = Annotated[
    float,
    Field(
        ge=0.0,
        le=2.0,
        description="How freely each token is chosen: 0 always takes the likeliest.",
        examples=[0.7],
    ),
]
TopK = Annotated[
    int,
    Field(ge=1, le=LONGEST_CONTEXT, strict=True),
]
TopP = Annotated[
    float,
    Field(
        ge=0.0,
        le=1.0,
        description="Draw only from the likeliest tokens that together have this probability "
        "(Holtzman et al. 2020); 0 leaves the likeliest alone.",
        examples=[0.9],
    ),
]
MinP = Annotated[
    float,
    Field(
        ge=0.0,
        le=1.0,
        description="Draw only from tokens that are at least this part as likely as the likeliest.",
        examples=[0.05],
    ),
]
RepetitionPenalty = Annotated[
    float,
    Field(
        ge=0.5,
        le=2.0,
        description="Above 1, tokens that were read or written before become less likely (Keskar "
        "et al. 2019).",
        examples=[1.1],
    ),
]
LikeliestCount = Annotated[int, Field(ge=0, le=LIKELIEST, strict=True)]
PromptLogprobs = Annotated[
    bool,
    Field(
        description="Tell those of a completion's `text` too, except of its first token. The text "
        "is then read a token a step."
    ),
]
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
