"""Directions of a GAN's latent space along which its pictures change as wanted, and stay alike.

A linear walk (Jahanian, Chai and Isola 2020, 1907.07171, section 3.1) is found by gradients through
the generator. Theirs wants an edited picture; ours a higher score, as it is seen by a CLIP, and the
same kind.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from models.image.directions import at_length_of
from training.learners.attributes import CHANGE, KEPT


@dataclass(frozen=True, slots=True)
class View:
    """Pictures (N, 3, H, W) in [0, 1], and a CLIP's vectors of them (N, D)."""

    pictures: Tensor
    vectors: Tensor


Draw = Callable[[Tensor], View]
"""Latents (N, latent) to what they become; a walk goes through its gradient."""
Score = Callable[[View], Tensor]
"""(N,), more where more of the attribute is seen."""
Kinds = Callable[[View], Tensor]
"""Logits (N, kinds)."""


@dataclass(frozen=True, slots=True)
class WalkSettings:
    """`rate` is Adam's; it falls in a line to nothing over `steps`."""

    steps: int = 100
    batch: int = 32
    rate: float = 0.03
    draws: int = 1_000
    """Latents that a walk learns from."""
    tried: int = 200
    """Latents that say how long it may be."""
    farthest: float = 2.5
    """Moves while it learns are between a half and this, either way."""
    kind: float = 1.0
    """The weight of the loss that keeps the kind."""
    ridge: float = 50.0
    """Of the regression that it begins with."""
    seed: int = 0


LENGTHS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
"""Of a direction, in standard deviations of the latents: the first that keeps enough kinds."""


@dataclass(slots=True)
class LinearWalks:
    """Finds walks of one generator; what it draws serves all of them."""

    draw: Draw
    kinds: Kinds
    latent: int
    settings: WalkSettings
    z: Tensor = field(init=False)
    view: View = field(init=False)
    kind: Tensor = field(init=False)

    def __post_init__(self) -> None:
        rng = torch.Generator().manual_seed(self.settings.seed)
        self.z = torch.randn(self.settings.draws, self.latent, generator=rng)
        self.view = view_of(self.draw, self.z)
        self.kind = self.kinds(self.view).argmax(1)

    def direction(self, score: Score) -> Tensor:
        """The direction of a score, (latent,), of one of `LENGTHS`."""
        unit = self.walk(score)
        return self.length(unit) * unit

    def walk(self, score: Score) -> Tensor:
        """The direction of length 1 that raises the score most often and keeps the kinds."""
        settings, known = self.settings, score(self.view)
        deviation = known.std()
        way = self.regression(known).requires_grad_()
        adam = torch.optim.Adam([way], settings.rate)
        rng = torch.Generator().manual_seed(settings.seed)
        for step in range(settings.steps):
            rows = torch.randint(len(self.z), (settings.batch,), generator=rng)
            amount = self._amounts(rng)
            z = self.z[rows]
            view = self.draw(at_length_of(z, z + amount[:, None] * F.normalize(way, dim=0)))
            rise = (score(view) - known[rows]) / deviation * amount.sign()
            loss = -torch.tanh(2 * rise).mean()
            loss = loss + settings.kind * F.cross_entropy(self.kinds(view), self.kind[rows])
            adam.zero_grad()
            torch.autograd.backward(loss)
            adam.param_groups[0]["lr"] = settings.rate * (1 - step / settings.steps)
            adam.step()
        return F.normalize(way.detach(), dim=0)

    def regression(self, known: Tensor) -> Tensor:
        """The direction of length 1 along which a line through the scores rises."""
        y = (known - known.mean()) / known.std()
        gram = self.z.T @ self.z + self.settings.ridge * torch.eye(self.latent)
        return F.normalize(torch.linalg.solve(gram, self.z.T @ y), dim=0)

    def length(self, unit: Tensor) -> float:
        """The greatest of `LENGTHS` at which `CHANGE` either way leaves `KEPT` of the kinds."""
        z, kind = self.z[: self.settings.tried], self.kind[: self.settings.tried]

        def kept(shift: Tensor) -> float:
            seen = self.kinds(view_of(self.draw, at_length_of(z, z + shift)))
            return float((seen.argmax(1) == kind).double().mean())

        for length in LENGTHS[:-1]:
            if all(kept(sign * CHANGE * length * unit) >= KEPT for sign in (-1, 1)):
                return length
        return LENGTHS[-1]

    def _amounts(self, rng: torch.Generator) -> Tensor:
        size, sign = torch.rand(2, self.settings.batch, generator=rng)
        amounts: Tensor = 0.5 + (self.settings.farthest - 0.5) * size
        return amounts * torch.where(sign < 0.5, -1.0, 1.0)


ROWS = 100


@torch.no_grad()
def view_of(draw: Draw, z: Tensor) -> View:
    """What latents become, some at a time."""
    views = [draw(rows) for rows in torch.split(z, ROWS)]
    return View(torch.cat([v.pictures for v in views]), torch.cat([v.vectors for v in views]))
