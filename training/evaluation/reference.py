"""The real images that a checkpoint's images are compared with."""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.checkpoint.header import Header
from models.engine.noise import seeded
from training.data.images.sets import BUILT, source_of
from training.evaluation.evaluator import EvaluationRefused
from training.recipe import Data
from training.registry import recipe_named, recipes


@dataclass(frozen=True, slots=True)
class Reference:
    """A data set with the name that figures against it carry."""

    name: str
    data: Data

    def sample(self, count: int, seed: int) -> Tensor:
        """Returns `count` training images, none twice."""
        train = self.data.train[0]
        return train[torch.randperm(len(train), generator=seeded(seed))[:count]]

    def noise(self, count: int, seed: int) -> Tensor:
        """Returns images of its shape, uniformly random."""
        shape = (count, *self.data.test[0].shape[1:])
        return torch.randint(0, 256, shape, generator=seeded(seed), dtype=torch.uint8)


def reference_of(header: Header, named: str | None, shape: tuple[int, int]) -> Reference:
    """Returns the named data set, else that of the checkpoint's recipe.

    `shape` is the (size, channels) of the model's images, to which those of a folder are resized.
    Raises EvaluationRefused or DataMissing.
    """
    if named is not None:
        source = source_of(named)
        return Reference(source.name, source.fixed() if source.fixed else source.load(*shape))
    recipe = header.recipe.get("id")
    if recipe not in recipes() or "recipe" in header.recipe:
        raise EvaluationRefused("its data is not known here; name some by --reference")
    known = recipe_named(str(recipe))
    load = known.reference or known.data
    names = [source.name for source in BUILT.values() if source.fixed is load]
    return Reference(names[0] if names else str(recipe), load())


def cropped(pictures: Tensor, side: int) -> Tensor:
    """Returns the middle (N, C, side, side): a net may need a border that its data has not."""
    top, left = (pictures.shape[2] - side) // 2, (pictures.shape[3] - side) // 2
    if top < 0 or left < 0:
        raise EvaluationRefused(
            f"its pictures are smaller than those of the reference: {pictures.shape[2]} of {side}"
        )
    return pictures[:, :, top : top + side, left : left + side]
