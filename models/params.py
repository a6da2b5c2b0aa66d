"""One params class per family, and the seeds of a job's items. No torch: the API imports this."""

import hashlib
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MAX_SEED = 2**53 - 1  # what JSON and JavaScript keep exactly

Seed = Annotated[int, Field(ge=0, le=MAX_SEED, strict=True)]


def item_seed(seed: int, index: int) -> int:
    """The seed of item `index` of a job: the job's own for item 0, a derived one after it."""
    if index == 0:
        return seed
    digest = hashlib.sha256(f"{seed}:{index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") & MAX_SEED


class Params(BaseModel):
    """What a family's story takes. Unknown fields are refused; nothing is clamped."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class VAEParams(Params):
    """Parameters of a variational autoencoder."""

    temperature: float = Field(
        default=1.0,
        ge=0.0,
        le=2.0,
        description="Standard deviation of the latent draw: 0 gives the mean picture, 1 the prior.",
    )


class GANParams(Params):
    """Parameters of a generative adversarial network."""

    truncation: float | None = Field(
        default=None,
        ge=0.1,
        le=3.0,
        description="Draw latents from a normal cut at plus and minus this many standard "
        "deviations (Brock et al. 2019): smaller is more typical, less varied. Null draws freely.",
    )
