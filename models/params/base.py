"""One params class per family, and the seeds of a job's items. No torch: the API imports this.

A class has all that a checkpoint of its family can take. What a given one lacks (labels, a learned
prior) `families.lacks` tells by its header, and the API then knows no such field.
"""

import hashlib
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PrivateAttr,
    ValidationInfo,
    field_validator,
)
from pydantic_core import CoreSchema

from models.params.conflicts import ABSENT, GIVEN, Conflict, check, forbid, one_of
from models.params.fields import Amounts, LabelReader, PostedPicture, posted_fields

MAX_SEED = 2**53 - 1  # what JSON and JavaScript keep exactly

Seed = Annotated[int, Field(ge=0, le=MAX_SEED, strict=True)]


def item_seed(seed: int, index: int) -> int:
    """The seed of item `index` of a job: the job's own for item 0, a derived one after it."""
    if index == 0:
        return seed
    digest = hashlib.sha256(f"{seed}:{index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") & MAX_SEED


class UnsupportedRequest(ValueError):
    """A request that a model can't carry out, as it finds when it reads it: which field, and why.

    Its words are for the client.
    """

    def __init__(self, param: str, why: str, code: str = "invalid_parameter") -> None:
        super().__init__(f"{param} {why}")
        self.param, self.code = param, code


class Params(BaseModel):
    """What a family's story takes. Unknown fields are refused; nothing is clamped."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    conflicts: ClassVar[tuple[Conflict, ...]] = ()
    """What is refused of several fields together: by the validator, and in the JSON schema."""
    dependent_fields: ClassVar[frozenset[str]] = frozenset()
    """Fields that only go with some values of others. A checkpoint may give them no default, which
    would clash with requests."""
    label_fields: ClassVar[frozenset[str]] = frozenset()
    """Fields that take one of the checkpoint's labels, where it has any."""
    latin_fields: ClassVar[frozenset[str]] = frozenset()
    """Fields that take Latin letters alone, if the checkpoint writes no language of others."""
    advanced_fields: ClassVar[frozenset[str]] = frozenset()
    """Fields that a form shows only to those who ask for more. Those of base classes count too."""
    label_reader: ClassVar[LabelReader | None] = None
    """What reads a label from other texts than its name, if anything does."""
    _owner: str = PrivateAttr("")

    @field_validator("*")
    @classmethod
    def _without_conflict(cls, value: Any, info: ValidationInfo) -> Any:
        check(cls.conflicts, str(info.field_name), value, info.data)
        return value

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        schema = handler(core_schema)
        resolved = handler.resolve_ref_schema(schema)
        for name in cls.all_advanced_fields() & resolved.get("properties", {}).keys():
            resolved["properties"][name]["advanced"] = True
        if cls.conflicts:
            resolved |= forbid(resolved, cls.conflicts)
        return schema

    @classmethod
    def all_advanced_fields(cls) -> frozenset[str]:
        """The `advanced_fields` of this class and of its base classes."""
        own = (x.advanced_fields for x in cls.__mro__ if issubclass(x, Params))
        return frozenset().union(*own)

    @property
    def owner(self) -> str:
        """Who asks, which is no part of what is asked: a worker sets it."""
        return self._owner

    def owned_by(self, owner: str) -> Self:
        """The same request, of an owner."""
        copy = self.model_copy()
        copy._owner = owner
        return copy

    @property
    def rows(self) -> int:
        """How many pictures, or the like, one item makes side by side: admission weighs it so."""
        return 1


def posted_files(params: Params) -> dict[str, str]:
    """The files that a request refers to: their SHA-256 by the names of its params."""
    values = dict(params)
    return {name: values[name] for name in posted_fields(type(params)) if values[name] is not None}


class Walk(Params):
    """A way through the latent space, from a request's own seed to another."""

    to_seed: Seed = Field(description="The seed of the last frame.")
    frames: int = Field(default=8, ge=2, le=64, description="Pictures, both ends included.")


class PictureParams(Params):
    """What every family of pictures takes."""

    dependent_fields = frozenset({"interpolate"})
    advanced_fields = frozenset({"interpolate"})

    interpolate: Walk | None = Field(
        default=None,
        description="Walk from this seed's latent to another's along a great circle: gives a "
        "contact sheet and an animation instead of one picture.",
        examples=[{"to_seed": 8, "frames": 8}],
    )

    @property
    def rows(self) -> int:
        return self.interpolate.frames if self.interpolate else 1


class VariableParams(PictureParams):
    """What a family takes that can vary a given picture."""

    dependent_fields = PictureParams.dependent_fields | {"init_image", "strength"}

    conflicts: ClassVar[tuple[Conflict, ...]] = (
        {"init_image": GIVEN, "interpolate": GIVEN},
        {"strength": GIVEN, "init_image": ABSENT},
    )

    init_image: PostedPicture | None = Field(
        default=None,
        description="Vary this picture instead of making a new one: the hash of a file posted to "
        "/artifacts.",
        examples=["ab12" * 16],
    )
    strength: float | None = Field(
        default=None,
        ge=0.0,
        le=1.0,
        description="How far to leave `init_image`: 0 keeps it as well as the model can, 1 keeps "
        "next to nothing. Null is 0.5. Only with `init_image`.",
        examples=[0.5],
    )

    @property
    def used_strength(self) -> float:
        """How far to leave `init_image`, where the request may not say so."""
        return 0.5 if self.strength is None else self.strength


class MixtureParams(PictureParams):
    """Parameters of a Gaussian mixture."""

    temperature: float = Field(
        default=1.0,
        ge=0.0,
        le=2.0,
        description="Standard deviations are scaled by this: 0 gives the components' means.",
    )


class VAEParams(VariableParams):
    """Parameters of a variational autoencoder, with all that one can have."""

    dependent_fields = VariableParams.dependent_fields | {"prior"}
    advanced_fields = frozenset({"prior"})

    conflicts: ClassVar[tuple[Conflict, ...]] = (
        *VariableParams.conflicts,
        {"prior": one_of("mixture"), "init_image": GIVEN},
    )

    temperature: float = Field(
        default=1.0,
        ge=0.0,
        le=2.0,
        description="Standard deviation of the latent draw: 0 gives the mean picture, 1 the prior.",
    )
    prior: Literal["normal", "mixture"] = Field(
        default="normal",
        description="Where latents are drawn from: N(0, 1), or the Gaussian mixture that was "
        "fitted to the latents of the training pictures.",
        examples=["mixture"],
    )

    attributes: Amounts = Field(
        default={},
        description="Move along these directions of the latent space. Each is at most one standard "
        "deviation of the training pictures long; by 2, few pictures become another kind of thing.",
    )


POOL = 32
"""Draws of a GAN that truncation chooses from."""
TRUNCATION = (
    "Choose among {pool} draws, so that no {kind} is atypical. The share of them stays that a "
    "normal distribution has within this many standard deviations: 38 % at 0.5, 68 % at 1. "
    "Those stay whose {kind} is most like others of its brightness, and the first of them is the "
    "result. Smaller is more typical, and less varied. Null draws once."
)


class GANParams(PictureParams):
    """Parameters of a generative adversarial network."""

    label_fields = frozenset({"class_label"})

    truncation: float | None = Field(
        default=None,
        ge=0.1,
        le=3.0,
        description=TRUNCATION.format(kind="picture", pool=POOL),
        examples=[0.7],
    )
    class_label: str | None = Field(
        default=None, description="What to draw; null draws a kind, each as likely."
    )
    attributes: Amounts = Field(
        default={},
        description="Turn the latent towards these directions. Each is at most one standard "
        "deviation of the latents long; by 2, few pictures become another kind of thing.",
    )

    @property
    def rows(self) -> int:
        """The draws that truncation chooses from run four at a time."""
        return super().rows if self.truncation is None else max(super().rows, 4)
