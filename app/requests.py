"""The request of a model: its family's params joined with its header and the common fields.

The header overrides defaults and tightens bounds; nothing it says can widen what the family
allows. Common: model, n, seed, output_format, metadata.
"""

from typing import Annotated, Any, Literal, Optional, get_args

from annotated_types import Ge, Gt, Le, Lt
from pydantic import ConfigDict, Field, ValidationError, create_model
from pydantic.fields import FieldInfo

from models.families import FamilyEntry, Modality
from models.header import CheckpointError, Header
from models.params import Params, Seed

FORMATS: dict[Modality, tuple[str, ...]] = {"image": ("png", "webp")}
LABEL = "class_label"  # the params field that takes one of a checkpoint's labels

MetadataKey = Annotated[str, Field(min_length=1, max_length=64)]
MetadataValue = Annotated[str, Field(max_length=512)]


def request_class(model: str, header: Header, family: FamilyEntry, max_items: int) -> type[Params]:
    """The class that validates a request to this model. Raises CheckpointError for a header
    whose defaults or limits don't fit its family."""
    fields: dict[str, Any] = _common(model, family.modality, max_items)
    own = family.params.model_fields
    for name in sorted({*header.defaults, *header.limits}):
        if name not in own:
            raise CheckpointError(f"its header names an unknown parameter: {name}")
    for name, field in own.items():
        if name in header.defaults or name in header.limits or name == LABEL:
            fields[name] = _joined(name, field, header)
    made = create_model(model, __base__=family.params, __doc__=header.description, **fields)
    _check_defaults(made)
    return made


def _common(model: str, modality: Modality, max_items: int) -> dict[str, Any]:
    formats = FORMATS[modality]
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
            Field(formats[0], description="The kind of file to make."),
        ),
        "metadata": (
            dict[MetadataKey, MetadataValue],
            Field({}, max_length=16, description="Your own notes, given back with the job."),
        ),
    }


def _joined(name: str, field: FieldInfo, header: Header) -> tuple[Any, FieldInfo]:
    annotation: Any = field.annotation
    metadata = list(field.metadata)
    if name in header.limits:
        low, high = (_whole(x) for x in header.limits[name])
        metadata = _tightened(metadata, low, high)
    if name == LABEL and header.labels:
        labels: Any = Literal[tuple(header.labels)]
        annotation = Optional[labels] if type(None) in get_args(annotation) else labels  # noqa: UP045
    if metadata:
        annotation = Annotated[(annotation, *metadata)]
    default = header.defaults.get(name, field.get_default(call_default_factory=True))
    return annotation, Field(default, description=field.description, examples=field.examples)


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


def _check_defaults(made: type[Params]) -> None:
    checked = create_model(
        "checked", __base__=made, __config__=ConfigDict(validate_default=True, strict=True)
    )
    try:
        checked.model_validate({})
    except ValidationError as error:
        for found in error.errors(include_url=False):
            if found["type"] != "missing":
                where = ".".join(map(str, found["loc"]))
                message = f"its header gives {where} a default it refuses: {found['msg']}"
                raise CheckpointError(message) from None
