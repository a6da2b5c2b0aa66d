"""A request for music in free words, in the form that vLLM-Omni has, read as one of ours.

1. A table of words understands `input`. The answer says what it means; what it leaves open is
   drawn. Params that are given besides go before it.
2. `audio_length` and `response_format` are `seconds` and `output_format` by other names.
3. Every other field is the model's own, and refused by name if the model lacks it.
4. Null is as good as left out.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.catalog.catalog import Catalog, CatalogEntry
from app.core.errors import InvalidRequest, Unprocessable
from app.core.settings import Settings
from app.openai.json_schema import or_null
from app.openai.music.vocabulary import Understood, understand
from app.openai.parsing import named_model, read_as
from app.operations.job_errors import renamed
from app.operations.submit import JobRequest, validated
from models.params.base import Params

OURS = {"audio_length": "seconds", "response_format": "output_format"}
THEIRS = {ours: theirs for theirs, ours in OURS.items()}
NOT_HERE = ("n", *THEIRS)  # of the model's own fields
OVERRULED: Mapping[str, frozenset[str]] = {
    "score": frozenset({"tempo", "key"}),
    "primer": frozenset({"tempo", "key"}),
    "unconditioned": frozenset({"style", "tempo", "key"}),
}
"""What words can't ask for beside a param that is given."""


class MusicRequest(BaseModel):
    """The fields that no model has; `model_extra` has the model's."""

    model_config = ConfigDict(extra="allow", frozen=True)

    input: str = Field(
        max_length=1000,
        description="Words for what to play: a style, a tempo, a key. What was understood is said "
        "in the header `x-understood`, and what they leave open is drawn.",
        examples=["gentle jazz for a rainy evening"],
    )


@dataclass(frozen=True)
class ParsedMusicRequest:
    """What a body asks for, and what its words were taken for."""

    job_request: JobRequest
    understood: Understood


def read_request(
    catalog: Catalog, settings: Settings, body: Mapping[str, Any], text: bytes
) -> ParsedMusicRequest:
    """Raises NotFound, InvalidRequest."""
    entry = catalog.find(named_model(body, settings.default_model("audio")), "audio")
    schema = in_dialect(entry, entry.schema)
    asked = read_as(MusicRequest, text, lambda: schema)
    fields = _fields(asked)
    understood = understand(asked.input, entry.header.labels, _open(entry, fields))
    whole = {**understood.params, **fields, "model": entry.id}
    try:
        params = validated(entry, json.dumps(whole), schema)
    except InvalidRequest as error:
        raise renamed(error, THEIRS) from None
    return ParsedMusicRequest(
        JobRequest("audio", entry, _noted(params, asked, understood)), understood
    )


def _noted(params: Params, asked: MusicRequest, understood: Understood) -> Params:
    """With what was said, and what it was taken for, in the job's metadata."""
    own: dict[str, str] = dict(params)["metadata"]
    said = {"input": asked.input[:512], "understood": understood.summary}
    return params.model_copy(update={"metadata": {**said, **own}})


def _fields(asked: MusicRequest) -> dict[str, Any]:
    """The model's own params that a body gives. Raises Unprocessable for those by another name."""
    extra = {k: v for k, v in (asked.model_extra or {}).items() if v is not None}
    for name in NOT_HERE:
        if name in extra:
            other = f"; {THEIRS[name]} is" if name in THEIRS else ": the reply is one file"
            message = f"{name} is not a parameter here{other}"
            raise Unprocessable(message, code="unknown_parameter", param=name)
    return {OURS.get(name, name): value for name, value in extra.items()}


def _open(entry: CatalogEntry, fields: Mapping[str, Any]) -> set[str]:
    """What a model takes that is not given, and does not clash with what is."""
    clash = {name for param in fields for name in OVERRULED.get(param, ())}
    return set(entry.schema["properties"]) - fields.keys() - clash


def in_dialect(entry: CatalogEntry, native: Mapping[str, Any]) -> dict[str, Any]:
    """A schema of the model's own request, made that of the request which is taken here."""
    fields = native["properties"]
    theirs = {name: fields[ours] for name, ours in OURS.items() if ours in fields}
    own = MusicRequest.model_json_schema()["properties"]
    kept = {name: or_null(x) for name, x in fields.items() if name not in NOT_HERE}
    required = [name for name in native.get("required", []) if name not in NOT_HERE]
    return {**native, "properties": {**own, **theirs, **kept}, "required": ["input", *required]}
