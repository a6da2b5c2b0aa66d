"""The request of a model: its family's params joined with its header and the common fields.

The header overrides defaults and tightens bounds; nothing it says can widen what the family
allows. Common: model, n, seed, output_format, metadata, of pictures grid, of pictures and videos
output_size.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Optional

from annotated_types import Ge, Gt, Le, Lt
from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    create_model,
)
from pydantic.fields import FieldInfo
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticKnownError

from models.checkpoint.header import CheckpointError, Header
from models.families import FamilyEntry
from models.modalities import MODALITIES, MP3_RATES
from models.params.base import Params, Seed
from models.params.conflicts import GIVEN, Above, Conflict, Matching, one_of
from models.params.diffusion import FEW
from models.params.fields import (
    FOREIGN,
    LATIN,
    LONG_SIDE,
    SIDE_OVER_512,
    OutputSize,
    amounts_of,
    label_of,
    latin_of,
)

ATTRIBUTES = "attributes"  # the one that takes amounts of its attributes
MetadataKey = Annotated[str, Field(min_length=1, max_length=64)]
MetadataValue = Annotated[str, Field(max_length=512)]


def request_class(
    model: str,
    header: Header,
    family: FamilyEntry,
    max_items: int,
    aliases: Sequence[str] = (),
) -> type[Params]:
    """The class that validates a request to this model, by its id or an alias.

    Raises CheckpointError for a header whose defaults or limits don't fit its family.
    """
    max_n = MODALITIES[family.modality].max_n or max_items
    formats = formats_of(header, family)
    fields: dict[str, Any] = _common(model, formats, min(max_n, max_items))
    if aliases:
        fields["model"] = _by_any_name(model, aliases)
    has_pictures, resizes = MODALITIES[family.modality].has_pictures, _resizes(family.modality)
    fields |= (_OF_PICTURES if has_pictures else {}) | (_RESIZED if resizes else {})
    own = family.params.model_fields
    for name in sorted({*header.defaults, *header.limits}):
        if name not in own:
            raise CheckpointError(f"its header names an unknown parameter: {name}")
        if name in family.params.dependent_fields & header.defaults.keys():
            raise CheckpointError(f"its header gives {name} a default, and it depends on others")
    missing, header = family.lacks(header), _bounded(header, family)
    labelled = family.params.label_fields if header.labels else frozenset()
    is_latin = bool(header.languages) and LATIN.issuperset(header.languages)
    latin = family.params.latin_fields if is_latin else frozenset()
    for name, field in own.items():
        if name in missing:
            fields[name] = _unknown(field)
        elif name in latin:
            fields[name] = _latin(field, header.languages)
        elif name in {*header.defaults, *header.limits, *labelled, ATTRIBUTES}:
            reader = family.params.label_reader
            label = label_of(header.labels, reader) if name in labelled else None
            fields[name] = _joined(name, field, header, label)
    request = create_model(model, __base__=family.params, __doc__=header.description, **fields)
    _check_defaults(request)
    request.advanced_fields = frozenset({"output_format", "metadata", "grid", "output_size"})
    if has_pictures:
        request.conflicts = (*request.conflicts, ONE_SHEET, ONE_SIZE, FEW_LARGE)
    elif resizes:
        request.conflicts = (*request.conflicts, *SHORT_LARGE)
    request.conflicts += tuple({name: Matching(FOREIGN)} for name in sorted(latin))
    return request


def _bounded(header: Header, family: FamilyEntry) -> Header:
    """The header with what follows from its noise process: no more steps than that has levels."""
    count = family.facts(header).steps
    if "steps" not in family.params.model_fields or count is None:
        return header
    low, high = header.limits.get("steps", (1, count))
    limits = {**header.limits, "steps": (float(low), float(min(high, count)))}
    defaults = {"steps": min(count, FEW), **header.defaults}
    return header.model_copy(update={"limits": limits, "defaults": defaults})


def formats_of(header: Header, family: FamilyEntry) -> tuple[str, ...]:
    """The kinds of file that a model's results can be asked for as, the usual one first."""
    if family.formats:
        return family.formats
    rate, formats = family.facts(header).rate, MODALITIES[family.modality].formats
    return tuple(x for x in formats if x != "mp3" or rate in MP3_RATES)


def _common(model: str, formats: tuple[str, ...], max_items: int) -> dict[str, Any]:
    return {
        "model": (Literal[model], Field(model, description="The checkpoint to use.")),
        "n": (
            Annotated[int, Field(strict=True, ge=1, le=max_items)],
            Field(1, description="How many to make."),
        ),
        "seed": (
            Optional[Seed],  # noqa: UP045 (a runtime expression)
            Field(None, description="Same request, same bytes; one is chosen if it is left out."),
        ),
        "output_format": (
            Literal[formats],
            Field(
                formats[0],
                description="The kind of file to make.",
                examples=[formats[-1]],
            ),
        ),
        "metadata": (
            dict[MetadataKey, MetadataValue],
            Field({}, max_length=16, description="Your own notes, given back with the job."),
        ),
    }


def _by_any_name(model: str, aliases: Sequence[str]) -> tuple[Any, FieldInfo]:
    """The model's id, which its aliases are read as."""

    def read(value: Any) -> Any:
        return model if isinstance(value, str) and value in aliases else value

    schema = WithJsonSchema({"type": "string", "enum": [model, *aliases]})
    annotation: Any = Annotated[Literal[model], BeforeValidator(read), schema]
    default: Any = model
    return annotation, Field(default, description="The checkpoint to use, by its id or an alias.")


ONE_SHEET: Conflict = {"grid": one_of(True), "interpolate": GIVEN}
ONE_SIZE: Conflict = {"output_size": GIVEN, "interpolate": GIVEN}
FEW_LARGE: Conflict = {"n": Above(10), "output_size": Matching(LONG_SIDE)}
SHORT_LARGE: tuple[Conflict, ...] = (
    {"repeat": Above(6), "output_size": GIVEN},
    {"frames": Above(32), "output_size": Matching(SIDE_OVER_512)},
    {"frames": Above(16), "output_size": Matching(LONG_SIDE)},
    {"n": Above(8), "output_size": Matching(LONG_SIDE)},
    {"output_format": one_of("webp", "gif"), "output_size": Matching(SIDE_OVER_512)},
)
"""What bounds the pixels of a request: one thread of a worker writes the files of all jobs."""


def _resizes(modality: str) -> bool:
    """Whether what is made can be resized: pictures and videos."""
    return not {"picture", "video"}.isdisjoint(MODALITIES[modality].roles)


_RESIZED: dict[str, Any] = {
    "output_size": (
        Optional[OutputSize],  # noqa: UP045 (a runtime expression)
        Field(
            None,
            description="Resize the result to WIDTHxHEIGHT, 8 to 1792 pixels a side (Lanczos). The "
            "whole of it shows, and what is left beside it has the colour of its edge. Large sizes "
            "limit `n`, and of videos `frames`, `repeat` and `output_format`. Null leaves it as it "
            "is made.",
            examples=["512x512"],
        ),
    ),
}
_OF_PICTURES: dict[str, Any] = {
    "grid": (
        bool,
        Field(
            False,
            description="Lay all n pictures out on one sheet besides: it is one more output.",
            examples=[True],
        ),
    ),
}


def _joined(name: str, field: FieldInfo, header: Header, label: Any) -> tuple[Any, FieldInfo]:
    """A field as a header changes it; `label` is its type where it takes one of the labels."""
    annotation: Any = field.annotation
    metadata, examples = list(field.metadata), field.examples
    if name in header.limits:
        low, high = (_whole(x) for x in header.limits[name])
        metadata = _tightened(metadata, low, high)
    if label is not None:
        annotation, examples = label, header.labels[:1]
    if name == ATTRIBUTES:
        annotation, examples = amounts_of(header.attributes), [{header.attributes[0]: 1.5}]
        metadata = []  # they came with the names
    if metadata:
        annotation = Annotated[(annotation, *metadata)]
    default = header.defaults.get(name, field.get_default(call_default_factory=True))
    return annotation, Field(default, description=field.description, examples=examples)


def _latin(field: FieldInfo, languages: Sequence[str]) -> tuple[Any, FieldInfo]:
    """A field that takes Latin letters alone."""
    annotation: Any = Annotated[(field.annotation, *field.metadata, latin_of(languages))]
    about: dict[str, Any] = {"description": field.description, "examples": field.examples}
    return annotation, Field(field.default, validate_default=field.validate_default, **about)


def _unknown(field: FieldInfo) -> tuple[Any, FieldInfo]:
    """A field of the family that this checkpoint lacks: as unknown as any other name."""

    def refuse(value: Any) -> Any:
        raise PydanticKnownError("extra_forbidden")

    default: Any = None
    if not field.is_required():
        default = field.get_default(call_default_factory=True)
    hidden: Any = SkipJsonSchema[Annotated[Any, BeforeValidator(refuse)]]  # type: ignore[misc]
    return hidden, Field(default, exclude=True)


def _whole(x: float) -> float:
    return int(x) if x.is_integer() else x


def _tightened(metadata: list[Any], low: float, high: float) -> list[Any]:
    """The field's constraints, with the narrower of its own bounds and these."""
    kept: list[Any] = []
    lower: Ge | Gt = Ge(low)
    upper: Le | Lt = Le(high)
    for item in metadata:
        match item:
            case Ge(ge=own) | Gt(gt=own):
                lower = item if own >= low else lower  # type: ignore[operator]
            case Le(le=own) | Lt(lt=own):
                upper = item if own <= high else upper  # type: ignore[operator]
            case _:
                kept.append(item)
    return [*kept, lower, upper]


def _check_defaults(request: type[Params]) -> None:
    checked = create_model(
        "checked", __base__=request, __config__=ConfigDict(validate_default=True, strict=True)
    )
    try:
        checked.model_validate({})
    except ValidationError as error:
        for problem in error.errors(include_url=False):
            if problem["type"] not in ("missing", "extra_forbidden"):  # of a field it lacks
                where = ".".join(map(str, problem["loc"]))
                message = f"its header gives {where} a default it refuses: {problem['msg']}"
                raise CheckpointError(message) from None
