"""What clients see: the envelope around every job, list, card and error."""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PrivateAttr,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from models.modalities import MODALITIES, Role
from models.params.base import MAX_SEED

Status = Literal["queued", "in_progress", "canceling", "completed", "failed", "canceled", "expired"]
TERMINAL: frozenset[str] = frozenset({"completed", "failed", "canceled", "expired"})


class _KnownModality:
    """Allows the names in MODALITIES, whenever they were registered."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(core) | {"enum": list(MODALITIES)}

    @staticmethod
    def _check(name: str) -> str:
        if name not in MODALITIES:
            *names, last = map(repr, MODALITIES)
            expected = f"{', '.join(names)} or {last}"
            raise PydanticKnownError("literal_error", {"expected": expected})
        return name


ModalityName = Annotated[str, _KnownModality()]
"""What a job or a model makes: the name of a row of MODALITIES."""


class Schema(BaseModel):
    model_config = ConfigDict(frozen=True)


class ErrorDetail(Schema):
    message: str
    type: str
    param: str | None = None
    code: str


class ErrorBody(Schema):
    """The one shape of every error."""

    error: ErrorDetail


class Progress(Schema):
    """How far a job is: value in [0, 1], and steps summed over its items."""

    value: float = Field(ge=0, le=1)
    step: int = Field(ge=0)
    steps: int = Field(ge=0)


class Output(Schema):
    """One artifact of a job; its seed, posted alone, repeats the file.

    Files of one item share its index. A sheet of all n items has the index n and the job's seed.
    """

    index: int
    role: Role = "picture"
    url: str
    sha256: str
    content_type: str
    bytes: int
    seed: int = Field(ge=0, le=MAX_SEED)
    width: int | None = None
    height: int | None = None
    frames: int | None = Field(
        default=None, description="Of an animation or a video: its pictures."
    )
    seconds: float | None = Field(default=None, description="Of sound, scores and videos.")
    fps: float | None = Field(default=None, description="Of a video: frames a second.")
    rate: int | None = Field(default=None, description="Of sound: samples a second.")
    channels: int | None = Field(default=None, description="Of sound.")
    text: str | None = Field(default=None, description="What was written, its title left out.")
    title: str | None = None
    finish_reason: Literal["stop", "length"] | None = Field(
        default=None, description="Of text: it had said all, or as much as `max_tokens` allows."
    )
    stop_sequence: str | None = Field(
        default=None, description="Of text: the one of `stop` that ended it, if one did."
    )
    prompt_tokens: int | None = Field(default=None, description="Of text: tokens of the request.")
    completion_tokens: int | None = None
    notes: list[str] = Field(
        default=[], description="What to know of how it was made: words that were not understood."
    )


class Usage(Schema):
    """Where the time went, in milliseconds: waiting, and device time of its steps."""

    queue_ms: int | None = None
    compute_ms: int | None = None


class TextDraft(Schema):
    """What an item has written so far."""

    index: int
    text: str


class JobUrls(Schema):
    self: str
    events: str
    cancel: str
    audio: str | None = Field(default=None, description="The sound as it is made, of music.")


class Job(Schema):
    """An accepted request, from its acceptance to long after its end."""

    id: str
    object: Literal["job"] = "job"
    type: str
    model: str
    status: Status
    input: dict[str, Any]
    queue_position: int | None = Field(
        default=None, description="Jobs before it, at most; 0 is next."
    )
    progress: Progress
    attempt: int = Field(description="How often it has been started.")
    seed: int
    created_at: int
    started_at: int | None = None
    completed_at: int | None = None
    expires_at: int | None = None
    outputs: list[Output] = []
    drafts: list[TextDraft] = Field(
        default=[], description="Text so far, while it is being written."
    )
    determinism: Literal["bitwise", "none"] | None = None
    checkpoint: str | None = Field(
        default=None, description="SHA-256 of the checkpoint; null while that is being imported."
    )
    version: str | None = Field(
        default=None, description="Of the service whose worker made it; null before its end."
    )
    usage: Usage = Usage()
    error: ErrorDetail | None = None
    metadata: dict[str, str] = {}
    omitted: list[str] = Field(
        default=[],
        description="Long fields that are left out here, such as `input.text`: in a listing, or "
        "once the results have expired.",
    )
    urls: JobUrls
    _long_input: str | None = PrivateAttr(default=None)
    _long_texts: dict[int, int] = PrivateAttr(default={})

    @property
    def long_input(self) -> str | None:
        """The hash of what the store keeps of `input`."""
        return self._long_input

    @property
    def long_texts(self) -> dict[int, int]:
        """How many bytes at the end of an output's file are its text, by the output's number."""
        return self._long_texts

    def keeping(self, long_input: str | None, long_texts: dict[int, int]) -> "Job":
        """The job, with where its long fields are."""
        self._long_input, self._long_texts = long_input, long_texts
        return self


class JobList(Schema):
    object: Literal["list"] = "list"
    data: list[Job]
    first_id: str | None
    last_id: str | None = Field(
        description="Where the page ends, to be passed as `after`: of a search, the last job that "
        "was examined, which need not be in `data`."
    )
    has_more: bool = Field(description="Whether jobs follow; of a search, whether it can go on.")


class JobDeleted(Schema):
    id: str
    object: Literal["job.deleted"] = "job.deleted"
    deleted: Literal[True] = True


class StoredArtifact(Schema):
    """An input that was posted, to be named by its hash in later requests."""

    sha256: str
    content_type: str
    bytes: int


class ModelSample(Schema):
    """Where to see or hear what a model makes."""

    url: str
    content_type: str


class ModelCard(Schema):
    """What a checkpoint is, can do and can't do."""

    id: str
    object: Literal["model"] = "model"
    modality: ModalityName
    family: str
    default: bool = Field(
        default=False, description="Whether its route uses it where a request names no model."
    )
    title: str
    description: str
    limitations: str
    state: Literal["importing", "unloaded", "loading", "ready", "failed"]
    progress: float | None = Field(
        default=None, description="Of its import: 0 to 1. Loading has none."
    )
    determinism: Literal["bitwise", "none"] | None
    params: dict[str, Any] = Field(description="JSON schema of its request.")
    labels: list[str] = Field(description="What `class_label` or `style` takes, by number.")
    attributes: list[str] = Field(description="What `attributes` takes.")
    samplers: list[str] = Field(description="What `sampler` takes.")
    process: dict[str, Any] = Field(description="What its family does with the net.")
    sha256: str | None = Field(description="Null while it is being imported.")
    bytes: int
    memory_bytes: int | None = Field(
        default=None, description="What it takes in memory; null while no worker has it ready."
    )
    licence: str
    data: str
    data_licence: str
    recipe: dict[str, Any]
    quality: dict[str, Any]
    sample: ModelSample | None = Field(
        default=None, description="A file of what it makes, made beforehand."
    )


class ModelList(Schema):
    object: Literal["list"] = "list"
    data: list[ModelCard]


class OpenAIModel(Schema):
    """A model as OpenAI's clients read it."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "atelier"
    modality: ModalityName = Field(description="What it makes; a chat is with those of `story`.")
    alias_of: str | None = Field(default=None, description="The model that this alias stands for.")


class OpenAIModelList(Schema):
    object: Literal["list"] = "list"
    data: list[OpenAIModel]


class Alive(Schema):
    status: Literal["alive"] = "alive"


class Ready(Schema):
    status: Literal["ready"] = "ready"
    workers: int = Field(description="How many are alive.")
