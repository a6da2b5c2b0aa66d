"""OpenAI's request for the vectors of texts, read as one of ours.

1. `input` is `texts`, by one text or several.
2. `dimensions` is taken where it is what the model makes; no vector here is cut.
3. Every other field is the model's own, and refused by name if the model lacks it.
4. Null is as good as left out.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Tag

from app.catalog.catalog import Catalog, CatalogEntry
from app.core.errors import InvalidRequest, Unprocessable
from app.core.settings import Settings
from app.http.validation_errors import MANY, ONE
from app.openai.json_schema import or_null
from app.openai.parsing import named_model, read_as
from app.openai.text.request import NO_EFFECT, OneOrMany
from app.operations.job_errors import renamed
from app.operations.submit import JobRequest, validated
from models.params.embedding import MOST_TEXTS, EmbeddedText

SAID_OTHERWISE = ("texts", "n", "output_format")
"""The model's own fields that are given here by other names, or not at all."""
TOKENS = (
    "it must be text: token ids are of another model's tokenizer, and this model has its own (in "
    "LangChain, set check_embedding_ctx_length=False)"
)
Several = Annotated[list[EmbeddedText], Field(min_length=1, max_length=MOST_TEXTS)]


def without_token_ids(value: Any) -> Any:
    """Raises ValueError for lists of token ids, which OpenAI takes and many clients send."""
    if isinstance(value, list) and value and all(isinstance(x, int | list) for x in value):
        raise ValueError(TOKENS)
    return value


class EmbeddingRequest(BaseModel):
    """The fields that are OpenAI's alone; `model_extra` has the model's."""

    model_config = ConfigDict(extra="allow", frozen=True)

    input: Annotated[
        Annotated[EmbeddedText, Tag(ONE)] | Annotated[Several, Tag(MANY)],
        OneOrMany,
        BeforeValidator(without_token_ids),
    ] = Field(
        description="A text, or up to 2,048 of them, each of which becomes a vector. Token ids are "
        "refused: they are of another model's tokenizer.",
        examples=[["a lighthouse keeper", "a keeper of bees"]],
    )
    encoding_format: Literal["float", "base64"] | None = Field(
        default=None,
        description="How a vector is written: as numbers, or as float32, little-endian, in base64. "
        "Null is `float`.",
    )
    dimensions: int | None = Field(
        default=None,
        strict=True,
        description="Only as many as the model's vectors have: none is cut.",
    )
    user: str | None = Field(
        default=None, description=f"{NO_EFFECT}the key says who asks; see `metadata`."
    )

    @property
    def texts(self) -> list[str]:
        return [self.input] if isinstance(self.input, str) else self.input

    @property
    def names(self) -> Mapping[str, str]:
        """What the model's own fields are called here."""
        return {"texts.0" if isinstance(self.input, str) else "texts": "input"}


@dataclass(frozen=True)
class ParsedEmbeddingRequest:
    """What a body asks for, and the job that it becomes."""

    asked: EmbeddingRequest
    job_request: JobRequest


def read_request(
    catalog: Catalog, settings: Settings, body: Mapping[str, Any], text: bytes
) -> ParsedEmbeddingRequest:
    """Raises NotFound, InvalidRequest."""
    entry = catalog.find(named_model(body, settings.default_model("embedding")), "embedding")
    schema = in_dialect(entry, entry.schema)
    asked = read_as(EmbeddingRequest, text, lambda: schema)
    extra = {k: v for k, v in (asked.model_extra or {}).items() if v is not None}
    for name in SAID_OTHERWISE:
        if name in extra:
            known = ", ".join(schema["properties"])
            message = f"{name} is not a parameter here; known parameters: {known}"
            raise Unprocessable(message, code="unknown_parameter", param=name)
    length = entry.facts.dimensions
    if asked.dimensions not in (None, length):
        message = f"dimensions must be {length}: {entry.id} makes vectors of no other length"
        raise Unprocessable(message, param="dimensions")
    whole = {**extra, "model": entry.id, "texts": asked.texts}
    try:
        params = validated(entry, json.dumps(whole), schema)
    except InvalidRequest as error:
        raise renamed(error, asked.names) from None
    return ParsedEmbeddingRequest(asked, JobRequest("embedding", entry, params))


def in_dialect(entry: CatalogEntry, native: Mapping[str, Any]) -> dict[str, Any]:
    """A schema of the model's own request, made that of the request which is taken here."""
    fields = native["properties"]
    kept = {name: or_null(x) for name, x in fields.items() if name not in SAID_OTHERWISE}
    own = dict(_own_schema()["properties"])
    if (length := entry.facts.dimensions) is not None:
        form = [{"type": "integer", "minimum": length, "maximum": length}, {"type": "null"}]
        own["dimensions"] = {**own["dimensions"], "anyOf": form}
    named = [name for name in native.get("required", ()) if name not in SAID_OTHERWISE]
    return {**native, "properties": {**own, **kept}, "required": [*named, "input"]}


@lru_cache
def _own_schema() -> Mapping[str, Any]:
    """Made once: it takes milliseconds."""
    return EmbeddingRequest.model_json_schema()
