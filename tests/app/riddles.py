"""A modality that the project does not have, made of its table row, its params and its family."""

import torch
from pydantic import Field
from torch import Tensor

from models.artifacts import Artifact, Text
from models.checkpoint.weights import Checkpoint
from models.engine.batching import BatchedFn, Placement
from models.engine.flow import NOTHING, Inputs, Step
from models.families import FamilyEntry
from models.modalities import TEXT_FORMATS, Modality
from models.params.base import Params

ROW = Modality(
    name="riddle",
    summary="Ask riddles",
    description="Accepts a job that asks `n` riddles.",
    formats=TEXT_FORMATS,
    roles=("text",),
    kinds=("text",),
    default_model="sphinx",
    preview="text",
    example_input={"legs": 3},
    example_output={"content_type": "text/plain; charset=utf-8", "bytes": 40},
)


class RiddleParams(Params):
    """Parameters of a riddle."""

    legs: int = Field(default=4, ge=1, le=9, description="How many legs it has.")


class Sphinx:
    """Asks what has a drawn number of eyes."""

    max_items = 4
    item_bytes = 1024

    def __init__(self, checkpoint: Checkpoint, placement: Placement) -> None:
        self.eyes: BatchedFn[Tensor] = BatchedFn(
            torch.round, (torch.zeros(1),), dtype=placement.dtype
        )
        self.batched = (self.eyes,)

    async def generate(
        self, params: RiddleParams, rng: torch.Generator, inputs: Inputs = NOTHING
    ) -> tuple[Artifact, ...]:
        eyes = await Step(self.eyes, (torch.rand(1, generator=rng) * 9,))
        question = f"What has {params.legs} legs and {int(eyes)} eyes?"
        return (Text(question, 1, len(question.split()), "stop"),)


FAMILY = FamilyEntry("riddle", RiddleParams, "tests.app.riddles:Sphinx")
