"""How the tokens of a text are drawn: the params of every model that writes. No torch."""

from typing import Annotated

from pydantic import Field

LIKELIEST = 20  # tokens whose chances can be asked for beside the one that was drawn
LONGEST_CONTEXT = 100_000  # tokens; each checkpoint has a limit of its own

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
