"""FAMILIES: what a checkpoint's `family` names. Params at once, the torch code only when loaded."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from models.params import GANParams, Params, VAEParams

if TYPE_CHECKING:
    from models.batching import Place
    from models.checkpoint import Checkpoint
    from models.flow import Family

Modality = Literal["image", "audio", "video", "text"]


@dataclass(frozen=True)
class FamilyEntry:
    """What is known of a family without importing torch."""

    modality: Modality
    params: type[Params]
    where: str  # "module:Class", called with (checkpoint, place)

    def load(self, checkpoint: "Checkpoint", place: "Place") -> "Family[Any]":
        """Build the model. Raises CheckpointError if its weights don't fit."""
        module, name = self.where.split(":")
        build: Callable[..., Family[Any]] = vars(import_module(module))[name]
        return build(checkpoint, place)


FAMILIES: dict[str, FamilyEntry] = {
    "vae": FamilyEntry("image", VAEParams, "models.vae:VAE"),
    "dcgan": FamilyEntry("image", GANParams, "models.gan:DCGAN"),
}
