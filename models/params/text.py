"""The params of families that write. No torch."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from models.params.base import Params
from models.params.conflicts import ABSENT, GIVEN, Conflict, one_of, other_than
from models.params.fields import BLANK, ILLEGIBLE, Prompt, Without, legible

Kind = Literal["story", "poem", "continuation", "chat", "completion"]
ABOUT: tuple[Kind, ...] = ("story", "poem")  # the kinds that take what to write about
AFTER: tuple[Kind, ...] = ("continuation", "completion")  # those that go on from a text
LIKELIEST = 20  # tokens whose chances can be asked for beside the one that was drawn
LONGEST_CONTEXT = 100_000  # tokens; each checkpoint has a limit of its own
LETTERS = 200_000  # of a text that a model reads as it is


def _said(text: str) -> str:
    if not text.strip():
        raise ValueError("it must say something")
    return text


Passage = Annotated[
    str, Field(min_length=1, max_length=LETTERS), AfterValidator(_said), Without(BLANK)
]
"""Text that a model reads as it is, whatever letters it has: a model may have written it."""
Line = Annotated[
    str, Field(min_length=1, max_length=100), AfterValidator(legible), Without(ILLEGIBLE)
]
"""A few words."""
Stop = Annotated[str, Field(min_length=1, max_length=1000)]
"""Text to end before."""


class Message(Params):
    """A turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str = Field(max_length=LETTERS)


class LanguageParams(Params):
    """Parameters of a language model."""

    conflicts: ClassVar[tuple[Conflict, ...]] = (
        *({name: GIVEN, "kind": other_than(*ABOUT)} for name in ("theme", "prompt", "style")),
        {"prompt": GIVEN, "theme": GIVEN},
        {"prompt": ABSENT, "theme": ABSENT, "kind": one_of(*ABOUT)},
        {"title": GIVEN, "kind": other_than(*ABOUT, "continuation")},
        {"text": GIVEN, "kind": other_than(*AFTER)},
        {"text": ABSENT, "kind": one_of(*AFTER)},
        {"messages": GIVEN, "kind": other_than("chat")},
        {"messages": ABSENT, "kind": one_of("chat")},
    )

    kind: Kind = Field(
        default="story",
        description="A story or poem is about `prompt`; a continuation goes on from `text`; chat "
        "answers `messages`; a completion is whatever follows `text`.",
        examples=["poem"],
    )
    theme: Prompt | None = Field(
        default=None, description="`prompt` by another name.", examples=["autumn"]
    )
    prompt: Prompt | None = Field(
        default=None,
        validate_default=True,
        description="What a story or poem is to be about.",
        examples=["a lighthouse keeper who befriends a whale"],
    )
    style: Line | None = Field(
        default=None,
        description="The manner of a story or poem, such as haiku, sonnet, free verse, fairy tale; "
        "any words are taken.",
        examples=["haiku"],
    )
    title: Line | None = Field(
        default=None,
        description="The title. Null lets the model find one for a story or poem, when it is "
        "written.",
        examples=["The Lamp"],
    )
    text: Passage | None = Field(
        default=None,
        validate_default=True,
        description="What to go on from; only what is new is given back.",
        examples=["The door had been locked for years, until"],
    )
    messages: Annotated[list[Message], Field(min_length=1, max_length=1000)] | None = Field(
        default=None,
        validate_default=True,
        description="The conversation so far.",
        examples=[[{"role": "user", "content": "Tell me of the sea."}]],
    )
    max_tokens: int | None = Field(
        default=400,
        ge=1,
        le=LONGEST_CONTEXT,
        strict=True,
        description="Write at most so many tokens, of some four letters each. Together with what "
        "is read they must fit into the model's context; null is as many as it leaves room for.",
        examples=[200],
    )
    temperature: float = Field(
        default=0.8,
        ge=0.0,
        le=2.0,
        description="How freely each token is chosen: 0 always takes the likeliest.",
        examples=[0.7],
    )
    top_k: int | None = Field(
        default=None,
        ge=1,
        le=LONGEST_CONTEXT,
        strict=True,
        description="Draw only from so many of the likeliest tokens. Null is from all.",
        examples=[50],
    )
    top_p: float = Field(
        default=0.95,
        ge=0.0,
        le=1.0,
        description="Draw only from the likeliest tokens that together have this probability "
        "(Holtzman et al. 2020); 0 leaves the likeliest alone.",
        examples=[0.9],
    )
    min_p: float = Field(
        default=0.0,
        ge=0.0,
        le=1.0,
        description="Draw only from tokens that are at least this part as likely as the likeliest.",
        examples=[0.05],
    )
    repetition_penalty: float = Field(
        default=1.0,
        ge=0.5,
        le=2.0,
        description="Above 1, tokens that were read or written before become less likely (Keskar "
        "et al. 2019).",
        examples=[1.1],
    )
    stop: list[Stop] = Field(
        default=[],
        max_length=4,
        description="End before any of these; special tokens match as text.",
        examples=[["The End"]],
    )
    logprobs: int | None = Field(
        default=None,
        ge=0,
        le=LIKELIEST,
        strict=True,
        description="Tell the log-probability of every token, and of so many of the likeliest "
        "beside it, in a file of its own. Null tells none.",
        examples=[2],
    )

    @property
    def about(self) -> str | None:
        """What a story or poem is about, by whichever name it was given."""
        return self.theme if self.prompt is None else self.prompt
