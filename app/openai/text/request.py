"""What OpenAI's two requests for text share, and how either is read as one of ours.

1. Fields of OpenAI's that can't matter here have no effect and say so; those that ask for what no
   model here can do are refused.
2. Every other field is the model's own, and refused by name if the model lacks it.
3. Null is as good as left out.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    Tag,
    ValidationInfo,
    field_validator,
)
from pydantic_core import CoreSchema

from app.catalog.catalog import Catalog, CatalogEntry
from app.core.errors import InvalidRequest, Unprocessable
from app.core.schemas import Job
from app.core.settings import Settings
from app.http.validation_errors import MANY, ONE
from app.openai.json_schema import or_null
from app.openai.parsing import named_model, read_as
from app.operations.job_errors import renamed
from app.operations.submit import JobRequest, validated
from models.params.conflicts import GIVEN, Conflict, forbid, one_of, other_than
from models.params.fields import Stop

NO_EFFECT = "Taken without effect: "
SAID_OTHERWISE = frozenset(
    {
        "kind",
        "prompt",
        "theme",
        "style",
        "form",
        "acrostic",
        "lines",
        "title",
        "text",
        "messages",
        "output_format",
        "logprobs",
        "prompt_logprobs",
        "json_schema",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
    }
)
"""The model's own fields that are given here by other names, or not at all."""
LIMITS = {"max_tokens", "max_completion_tokens", "max_output_tokens"}
IN_JSON = ("json_object", "json_schema")
"""Types of answers that keep a schema, which end by themselves and have no `stop`."""
STOPS = other_than(None, [])
Nothing = Annotated[list[Any], Field(max_length=0)]
A = TypeVar("A", bound="DialectRequest")
T = TypeVar("T", bound="TextRequest")


def one_or_many(value: Any) -> str:
    """Which of two forms a field has, so that what is wrong is told of that form alone."""
    return MANY if isinstance(value, list) else ONE


OneOrMany = Discriminator(one_or_many)
Stops = Annotated[list[Stop], Field(max_length=4)]


class StreamOptions(BaseModel):
    """What a stream tells besides."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    include_usage: bool | None = Field(default=None, description="How many tokens, at its end.")
    include_obfuscation: bool | None = Field(default=None, description=f"{NO_EFFECT}no padding.")


class DialectRequest(BaseModel):
    """The fields of a request that are a dialect's alone; `model_extra` has the model's."""

    model_config = ConfigDict(extra="allow", frozen=True)

    said_otherwise: ClassVar[frozenset[str]] = SAID_OTHERWISE
    conflicts: ClassVar[tuple[Conflict, ...]] = ()

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return forbid(handler(core_schema), cls.conflicts)

    @property
    def names(self) -> Mapping[str, str]:
        """What some of the model's own fields are called here."""
        return {}

    def named(self, job: Job) -> Job:
        """The job with its model under the name that the client asked for."""
        asked = (self.model_extra or {}).get("model") or job.model
        return job.model_copy(update={"model": asked})


class TextRequest(DialectRequest):
    """The fields that are OpenAI's alone, whatever is asked for."""

    stop: Annotated[Annotated[Stop, Tag(ONE)] | Annotated[Stops, Tag(MANY)], OneOrMany] | None = (
        Field(default=None, description="End before this, or any of these.", examples=["The End"])
    )
    stream: bool | None = Field(default=None, description="Send the text as it is written.")
    stream_options: StreamOptions | None = Field(default=None, description="Only with `stream`.")
    user: str | None = Field(
        default=None, description=f"{NO_EFFECT}the key says who asks; see `metadata`."
    )
    safety_identifier: str | None = Field(default=None, description=f"{NO_EFFECT}as `user`.")
    service_tier: str | None = Field(default=None, description=f"{NO_EFFECT}there is one.")

    conflicts: ClassVar[tuple[Conflict, ...]] = (
        {"stream_options": GIVEN, "stream": one_of(None, False)},
    )

    @field_validator("stream_options")
    @classmethod
    def _of_a_stream(
        cls, value: StreamOptions | None, info: ValidationInfo
    ) -> StreamOptions | None:
        if value is not None and not info.data.get("stream"):
            raise ValueError("stream_options needs stream")
        return value

    @property
    def wants_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)

    def ours(self) -> dict[str, Any]:
        """What it says of the model's own fields, by their names."""
        stops = [self.stop] if isinstance(self.stop, str) else self.stop
        return {} if stops is None else {"stop": stops}

    def each(self) -> list[dict[str, Any]]:
        """The same for every job that it asks for."""
        return [self.ours()]


@dataclass(frozen=True)
class ParsedRequest(Generic[A]):
    """What is OpenAI's of a body, and what is the model's own."""

    asked: A
    entry: CatalogEntry
    schema: Mapping[str, Any]
    extra: Mapping[str, Any]

    def job_request(
        self, ours: Mapping[str, Any], notes: Mapping[str, str] = MappingProxyType({})
    ) -> JobRequest:
        """A job of these fields by our own names, with notes in its metadata.

        Raises InvalidRequest, by the client's names.
        """
        body = json.dumps({**ours, **self.extra, "model": self.entry.id})
        fields = {**self.entry.schema["properties"], **self.schema["properties"]}
        try:
            params = validated(self.entry, body, {**self.schema, "properties": fields})
            return JobRequest("story", self.entry, params, notes=notes)
        except InvalidRequest as error:
            raise renamed(error, self.asked.names) from None


def parse_request(
    kind: type[A], catalog: Catalog, settings: Settings, body: Mapping[str, Any], text: bytes
) -> ParsedRequest[A]:
    """Reads a body in the words of a dialect. Raises NotFound, InvalidRequest."""
    entry = catalog.find(named_model(body, settings.default_model("story")), "story")
    schema = in_dialect(kind, entry.schema)
    asked = read_as(kind, text, lambda: schema)
    extra = {k: v for k, v in (asked.model_extra or {}).items() if v is not None}
    for name in extra.keys() & kind.said_otherwise:
        known = ", ".join(schema["properties"])
        message = f"{name} is not a parameter here; known parameters: {known}"
        raise Unprocessable(message, code="unknown_parameter", param=name)
    return ParsedRequest(asked, entry, schema, extra)


def read_request(
    kind: type[T], catalog: Catalog, settings: Settings, body: Mapping[str, Any], text: bytes
) -> tuple[T, list[JobRequest]]:
    """Returns what is OpenAI's of a body, and a job request for each text that it goes on from.

    Raises NotFound, InvalidRequest.
    """
    parsed = parse_request(kind, catalog, settings, body, text)
    return parsed.asked, [parsed.job_request(ours) for ours in parsed.asked.each()]


def in_dialect(kind: type[DialectRequest], native: Mapping[str, Any]) -> dict[str, Any]:
    """A schema of the model's own request, made that of the request which is taken here."""
    own = _own_schema(kind)
    fields = {k: v for k, v in native["properties"].items() if k not in kind.said_otherwise}
    named = {**{name: or_null(x) for name, x in fields.items()}, **own["properties"]}
    for name in LIMITS & named.keys():  # the model's own bounds, in OpenAI's words
        forms = native["properties"]["max_tokens"]["anyOf"]
        bounded = {k: v for x in forms for k, v in x.items() if k in ("maximum", "minimum")}
        form: dict[str, Any] = {"type": "integer", **bounded}
        if name not in own.get("required", ()):
            form = {"anyOf": [form, {"type": "null"}]}
        named[name] = {**named[name], **form}
    schema = {**native, "properties": named, "required": own.get("required", [])}
    schema |= {"if": own["if"], "then": own["then"]}  # the model's own are said otherwise
    return schema | {"$defs": {**native.get("$defs", {}), **own.get("$defs", {})}}


@lru_cache
def _own_schema(kind: type[DialectRequest]) -> Mapping[str, Any]:
    """Made once: it takes milliseconds."""
    return kind.model_json_schema()
