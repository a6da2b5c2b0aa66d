"""The params of families that write. No torch."""

from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticKnownError

from models.params.base import Params
from models.params.conflicts import ABSENT, GIVEN, Conflict, one_of, other_than
from models.params.fields import BLANK, ILLEGIBLE, Prompt, Without, legible
from models.params.penalties import LogitBias, Penalty
from models.params.poem_forms import (
    COUNTED,
    MOST_LINES,
    FormRequest,
    Letters,
    PoemForm,
    check_form,
    check_lines,
    check_max_tokens,
    conflicts_of_forms,
    with_form_of_style,
)

T = TypeVar("T")
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

    latin_fields = frozenset({"theme", "prompt"})

    conflicts: ClassVar[tuple[Conflict, ...]] = (
        *({name: GIVEN, "kind": other_than(*ABOUT)} for name in ("theme", "prompt", "style")),
        {"prompt": GIVEN, "theme": GIVEN},
        {"prompt": ABSENT, "theme": ABSENT, "kind": one_of(*ABOUT)},
        {"title": GIVEN, "kind": other_than(*ABOUT, "continuation")},
        {"text": GIVEN, "kind": other_than(*AFTER)},
        {"text": ABSENT, "kind": one_of(*AFTER)},
        {"messages": GIVEN, "kind": other_than("chat")},
        {"messages": ABSENT, "kind": one_of("chat")},
        *conflicts_of_forms(),
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
        description="The manner of a story or poem, such as ballad, ode, fable, fairy tale; any "
        "words are taken. A poem's style that names a `form` is that form.",
        examples=["ode"],
    )
    form: PoemForm | None = Field(
        default=None,
        description="The form that a poem keeps, in English: a haiku has 5, 7 and 5 syllables, a "
        "limerick 5 lines that rhyme AABBA, a sonnet 14 lines that rhyme ABAB CDCD EFEF GG; the "
        "lines of a couplet rhyme in pairs, and those of an acrostic begin with its letters. Null "
        "leaves the form to the model.",
        examples=["haiku"],
    )
    acrostic: Letters | None = Field(
        default=None,
        validate_default=True,
        description="The word that the first letters of an acrostic spell.",
        examples=["STARS"],
    )
    lines: int | None = Field(
        default=None,
        ge=1,
        le=MOST_LINES,
        strict=True,
        description="How many lines a couplet (an even number; null is 2) or free verse has (null "
        "is 8).",
        examples=[4],
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
    presence_penalty: Penalty = Field(
        default=0.0,
        description="Taken from the logit of each token that was written before; below 0, such "
        "tokens become likelier.",
        examples=[0.5],
    )
    frequency_penalty: Penalty = Field(
        default=0.0,
        description="Taken from a token's logit as many times as it was written before.",
        examples=[0.5],
    )
    logit_bias: LogitBias = Field(
        default={},
        description="Added to the logits of tokens, by their numbers in the model's vocabulary; "
        "-100 all but forbids a token.",
        examples=[{"42": -100}],
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

    @field_validator("*")
    @classmethod
    def _without_conflict(cls, value: Any, info: ValidationInfo) -> Any:
        """Nothing is refused here: the validators below have messages of their own."""
        return value

    @field_validator("theme", "prompt", "style")
    @classmethod
    def _of_something_new(cls, value: str | None, info: ValidationInfo) -> str | None:
        return _only_with(value, info, ABOUT)

    @field_validator("prompt")
    @classmethod
    def _by_one_name(cls, value: str | None, info: ValidationInfo) -> str | None:
        theme, kind = info.data.get("theme"), info.data.get("kind")
        if value is not None and theme is not None:
            raise ValueError("prompt and theme are two names of one: give either")
        if value is None and theme is None and kind in ABOUT and "theme" in info.data:
            raise PydanticKnownError("missing")
        return value

    @model_validator(mode="before")
    @classmethod
    def _form_of_style(cls, values: Any) -> Any:
        return with_form_of_style(values)

    @field_validator("form")
    @classmethod
    def _of_a_poem(cls, value: PoemForm | None, info: ValidationInfo) -> PoemForm | None:
        if value is not None:
            check_form(info.data)
        return _only_with(value, info, ("poem",))

    @field_validator("acrostic")
    @classmethod
    def _of_an_acrostic(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("form") == "acrostic":
            raise PydanticKnownError("missing")
        if value is not None and info.data.get("form", "acrostic") != "acrostic":
            raise ValueError("acrostic needs the form acrostic")
        return value

    @field_validator("lines")
    @classmethod
    def _of_as_many(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None:
            check_lines(value, info.data.get("form", next(iter(COUNTED))))
        return value

    @field_validator("max_tokens")
    @classmethod
    def _enough_for_its_form(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None:
            check_max_tokens(value, info.data.get("form"))
        return value

    @field_validator("stop")
    @classmethod
    def _of_no_form(cls, value: list[str], info: ValidationInfo) -> list[str]:
        if value and info.data.get("form") is not None:
            raise ValueError("stop and form don't go together: a form ends by itself")
        return value

    @field_validator("title")
    @classmethod
    def _of_a_work(cls, value: str | None, info: ValidationInfo) -> str | None:
        return _only_with(value, info, (*ABOUT, "continuation"))

    @field_validator("text")
    @classmethod
    def _before_it(cls, value: str | None, info: ValidationInfo) -> str | None:
        return _just_with(value, info, AFTER)

    @field_validator("messages")
    @classmethod
    def _answered(cls, value: list[Message] | None, info: ValidationInfo) -> list[Message] | None:
        return _just_with(value, info, ("chat",))

    @property
    def form_request(self) -> FormRequest | None:
        """The form that a poem is to keep, if any."""
        return self.form and FormRequest(self.form, self.acrostic, self.lines)

    @property
    def about(self) -> str | None:
        """What a story or poem is about, by whichever name it was given."""
        return self.theme if self.prompt is None else self.prompt


def _only_with(value: T, info: ValidationInfo, kinds: tuple[Kind, ...]) -> T:
    if value is not None and info.data.get("kind", kinds[0]) not in kinds:
        raise ValueError(f"{info.field_name} needs the kind {' or '.join(kinds)}")
    return value


def _just_with(value: T, info: ValidationInfo, kinds: tuple[Kind, ...]) -> T:
    """A field that these kinds alone take, and can't do without."""
    if value is None and info.data.get("kind") in kinds:
        raise PydanticKnownError("missing")
    return _only_with(value, info, kinds)
