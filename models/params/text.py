"""The params of families that write. No torch."""

from typing import Annotated, Any, ClassVar

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticKnownError

from models.params.base import Params
from models.params.chat import (
    MOST_TOOLS,
    Message,
    Tool,
    check_tool_option,
    check_tools,
    conflicts_of_structure,
)
from models.params.conflicts import ABSENT, GIVEN, Conflict, one_of, other_than
from models.params.fields import Line, Passage, Prompt, Stop
from models.params.json_schemas import JSONSchema
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
from models.params.text_kinds import ABOUT, ADVANCED_TEXT, AFTER, Kind, T, just_with, only_with
from models.params.token_sampling import (
    LONGEST_CONTEXT,
    FrequencyPenalty,
    LikeliestCount,
    LogitBias,
    MinP,
    PresencePenalty,
    PromptLogprobs,
    RepetitionPenalty,
    Temperature,
    TopK,
    TopP,
)


class LanguageParams(Params):
    """Parameters of a language model."""

    latin_fields = frozenset({"theme", "prompt"})
    advanced_fields = ADVANCED_TEXT

    conflicts: ClassVar[tuple[Conflict, ...]] = (
        *({name: GIVEN, "kind": other_than(*ABOUT)} for name in ("theme", "prompt", "style")),
        {"prompt": GIVEN, "theme": GIVEN},
        {"prompt": ABSENT, "theme": ABSENT, "kind": one_of(*ABOUT)},
        {"title": GIVEN, "kind": other_than(*ABOUT, "continuation")},
        {"text": GIVEN, "kind": other_than(*AFTER)},
        {"text": ABSENT, "kind": one_of(*AFTER)},
        {"messages": GIVEN, "kind": other_than("chat")},
        {"messages": ABSENT, "kind": one_of("chat")},
        {"prompt_logprobs": one_of(True), "kind": other_than("completion")},
        {"prompt_logprobs": one_of(True), "logprobs": ABSENT},
        *conflicts_of_structure(),
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
    json_schema: JSONSchema | None = Field(
        default=None,
        description="Answer in JSON that is valid against this schema, on one line. An answer that "
        "`max_tokens` ends is not complete.",
    )
    tools: Annotated[list[Tool], Field(min_length=1, max_length=MOST_TOOLS)] | None = Field(
        default=None,
        description="Functions that the answer may call. It then ends with calls, each a JSON "
        "object with `name` and `arguments` between `<tool_call>` and `</tool_call>`.",
        examples=[[{"name": "weather", "description": "The weather of a city."}]],
    )
    tool_choice: Annotated[str, Field(max_length=64)] | None = Field(
        default=None,
        description="`auto` leaves it to the model whether it calls tools, `required` asks for a "
        "call, `none` refuses them; the name of a tool asks for a call of that one. Null is "
        "`auto`.",
        examples=["required"],
    )
    parallel_tool_calls: bool | None = Field(
        default=None, description="Whether an answer may make several calls. Null is true."
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
    temperature: Temperature = 0.8
    top_k: TopK | None = Field(
        default=None,
        description="Draw only from so many of the likeliest tokens. Null is from all.",
        examples=[50],
    )
    top_p: TopP = 0.95
    min_p: MinP = 0.0
    repetition_penalty: RepetitionPenalty = 1.0
    presence_penalty: PresencePenalty = 0.0
    frequency_penalty: FrequencyPenalty = 0.0
    logit_bias: LogitBias = Field(default={})
    stop: list[Stop] = Field(
        default=[],
        max_length=4,
        description="End before any of these; special tokens match as text.",
        examples=[["The End"]],
    )
    logprobs: LikeliestCount | None = Field(
        default=None,
        description="Tell the log-probability of every token, and of so many of the likeliest "
        "beside it, in a file of its own. Null tells none.",
        examples=[2],
    )
    prompt_logprobs: PromptLogprobs = False

    @field_validator("*")
    @classmethod
    def _without_conflict(cls, value: Any, info: ValidationInfo) -> Any:
        """Nothing is refused here: the validators below have messages of their own."""
        return value

    @field_validator("theme", "prompt", "style")
    @classmethod
    def _of_something_new(cls, value: str | None, info: ValidationInfo) -> str | None:
        return only_with(value, info, ABOUT)

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
        return only_with(value, info, ("poem",))

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

    @field_validator("json_schema")
    @classmethod
    def _of_an_answer(
        cls, value: dict[str, Any] | None, info: ValidationInfo
    ) -> dict[str, Any] | None:
        return only_with(value, info, ("chat", "completion"))

    @field_validator("tools")
    @classmethod
    def _of_a_chat(cls, value: list[Tool] | None, info: ValidationInfo) -> list[Tool] | None:
        if value is not None:
            check_tools(value)
        return only_with(value, info, ("chat",))

    @field_validator("tool_choice", "parallel_tool_calls")
    @classmethod
    def _among_tools(cls, value: T, info: ValidationInfo) -> T:
        if value is not None:
            check_tool_option(str(info.field_name), value, info.data)
        return value

    @field_validator("stop")
    @classmethod
    def _of_no_structure(cls, value: list[str], info: ValidationInfo) -> list[str]:
        for name in ("form", "json_schema", "tools"):
            if value and info.data.get(name) is not None:
                raise ValueError(f"stop and {name} don't go together: it ends by itself")
        return value

    @field_validator("title")
    @classmethod
    def _of_a_work(cls, value: str | None, info: ValidationInfo) -> str | None:
        return only_with(value, info, (*ABOUT, "continuation"))

    @field_validator("text")
    @classmethod
    def _before_it(cls, value: str | None, info: ValidationInfo) -> str | None:
        return just_with(value, info, AFTER)

    @field_validator("messages")
    @classmethod
    def _answered(cls, value: list[Message] | None, info: ValidationInfo) -> list[Message] | None:
        return just_with(value, info, ("chat",))

    @field_validator("prompt_logprobs")
    @classmethod
    def _of_a_completion(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("logprobs", 0) is None:
            raise ValueError("prompt_logprobs needs logprobs")
        return bool(only_with(value or None, info, ("completion",)))

    @property
    def form_request(self) -> FormRequest | None:
        """The form that a poem is to keep, if any."""
        return self.form and FormRequest(self.form, self.acrostic, self.lines)

    @property
    def about(self) -> str | None:
        """What a story or poem is about, by whichever name it was given."""
        return self.theme if self.prompt is None else self.prompt
