"""Fits Gaussian mixtures: by expectation and maximisation, or by gradient."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from pydantic import JsonValue
from torch import Tensor

from models.checkpoint.header import Header
from models.nets.mixture import GaussianMixture, PrincipalMixture
from training.loop.state import Resumable, Stateful, state_on_cpu
from training.recipe import Batch, Data

ROWS = 5_000  # that the distances to all components are computed for at once
LEAST_SHARE = 1e-3  # of the data's mean variance, added to every covariance: none collapses


@dataclass(frozen=True, slots=True)
class MixtureSettings:
    """A step of `em` sees a whole batch, so its batch is the data set; `gradient` is Adam's."""

    method: Literal["em", "gradient"] = "em"
    rate: float = 1e-2
    seed: int = 0


class MixtureLearner(Resumable):
    """A mixture over principal components, which the first step finds in its batch."""

    refusal = "a mixture can't begin from a checkpoint: it is fitted to its data in one go"

    def __init__(self, card: Header, settings: MixtureSettings, device: torch.device) -> None:
        net: dict[str, Any] = dict(card.net)
        self.net = PrincipalMixture(**net).to(device)
        self.settings, self.device = settings, device
        self.optimiser = torch.optim.Adam(self.net.mixture.parameters(), settings.rate)

    def step(self, batch: Batch, rng: torch.Generator) -> dict[str, float]:
        x = batch[0].to(self.device).float().div(255)
        if self.steps == 0:
            centre, axes = principal_axes(x.flatten(1), self.net.latent)
            self.net.centre.data.copy_(centre)
            self.net.axes.data.copy_(axes)
        with torch.no_grad():
            z = self.net.encode(x)
        if self.steps == 0:
            scatter(self.net.mixture, z, rng)
        self.steps += 1
        if self.settings.method == "em":
            return {"loss": -em_step(self.net.mixture, z)}
        return {"loss": self._descend(z)}

    def _descend(self, z: Tensor) -> float:
        loss = -self.net.mixture.log_prob(z).mean()
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.optimiser.step()
        return loss.item()

    @torch.no_grad()
    def sample(self, rows: int, rng: torch.Generator) -> Tensor:
        u, eps = torch.rand(rows, generator=rng), torch.randn(rows, self.net.latent, generator=rng)
        z = self.net.mixture.draw(u.to(self.device), eps.to(self.device))
        return self.net.decode(z).clamp(0, 1)

    def weights(self) -> dict[str, Tensor]:
        return state_on_cpu(self.net)

    def components(self) -> dict[str, Stateful]:
        return {"net": self.net, "optimiser": self.optimiser}


def principal_axes(x: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The mean (D,) of rows (N, D) and the `count` directions (count, D) of largest variance.

    Jolliffe 2002, chapter 1: the leading eigenvectors of the covariance, orthonormal, each with
    its largest entry positive so that the sign is no accident.
    """
    centre = x.mean(0)
    apart = (x - centre).double()
    _, vectors = torch.linalg.eigh(apart.T @ apart / len(x))  # rising
    axes = vectors[:, -count:].flip(1).T
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    return centre, (axes * largest.sign()).to(x.dtype).contiguous()


def scatter(mixture: GaussianMixture, x: Tensor, rng: torch.Generator) -> None:
    """First guesses: rows far from each other as means, the data's own deviations, equal shares.

    The means by k-means++ (Arthur and Vassilvitskii 2007): each is a row, drawn as likely as its
    squared distance to the nearest that is chosen already.
    """
    count = len(mixture.means)
    chosen = [int(torch.randint(len(x), (), generator=rng))]
    nearest = torch.full((len(x),), torch.inf, device=x.device)
    while len(chosen) < count:
        nearest = torch.minimum(nearest, (x - x[chosen[-1]]).square().sum(1))
        steps = nearest.double().cumsum(0)
        u = torch.rand((), generator=rng, dtype=torch.float64).to(x.device) * steps[-1]
        chosen.append(int(torch.searchsorted(steps, u).clamp(max=len(x) - 1)))
    mixture.means.data.copy_(x[chosen])
    mixture.logits.data.zero_()
    mixture.log_scales.data.copy_(x.std(0).clamp(min=1e-6).log().expand(count, -1))
    if mixture.lower is not None:
        mixture.lower.data.zero_()


@torch.no_grad()
def em_step(mixture: GaussianMixture, x: Tensor) -> float:
    """One round of Bishop 2006, equations 9.23 to 9.26; the mean log-likelihood before it, nats.

    Each round raises it, but for the little that is added to every covariance.
    """
    shares, log_prob = _responsibilities(mixture, x)
    count = shares.sum(0).clamp(min=1e-6)  # (K,)
    means = shares.T @ x / count[:, None]
    floor = LEAST_SHARE * x.var(0).mean()
    mixture.logits.copy_((count / len(x)).log())
    mixture.means.copy_(means)
    if mixture.lower is None:
        second = shares.T @ x.square() / count[:, None]
        variance = (second - means.square()).clamp(min=0) + floor
        mixture.log_scales.copy_(variance.log() / 2)
        return log_prob
    for k in range(len(means)):
        apart = x - means[k]
        spread = (apart * shares[:, k, None]).T @ apart / count[k]
        factor = torch.linalg.cholesky(spread + floor * torch.eye(len(spread), device=x.device))
        mixture.log_scales[k] = factor.diagonal().log()
        mixture.lower[k] = factor.tril(-1)
    return log_prob


def _responsibilities(mixture: GaussianMixture, x: Tensor) -> tuple[Tensor, float]:
    """How far each row belongs to each component, (N, K), and the mean log-likelihood."""
    shares, total = [], 0.0
    for rows in torch.split(x, ROWS):
        joint = mixture.component_log_prob(rows)
        evidence = torch.logsumexp(joint, 1, keepdim=True)
        shares.append((joint - evidence).exp())
        total += evidence.double().sum().item()
    return torch.cat(shares), total / len(x)


def fitted(
    components: int, covariance: Literal["diagonal", "full"], x: Tensor, rounds: int, seed: int = 0
) -> GaussianMixture:
    """Fits a mixture to rows (N, D) by this number of rounds of EM."""
    mixture = GaussianMixture(components, x.shape[1], covariance)
    scatter(mixture, x, torch.Generator().manual_seed(seed))
    for _ in range(rounds):
        em_step(mixture, x)
    return mixture


@torch.no_grad()
def mean_log_prob(mixture: GaussianMixture, x: Tensor) -> float:
    """Mean log-likelihood of rows (N, D), in nats."""
    return _responsibilities(mixture, x)[1]


@torch.no_grad()
def measure_likelihood(
    card: Header, weights: dict[str, Tensor], data: Data
) -> dict[str, JsonValue]:
    """Of the coefficients of held-out pictures, under the mixture and under one Gaussian."""
    net: dict[str, Any] = dict(card.net)
    model = PrincipalMixture(**net)
    model.load_state_dict({k: w.float() for k, w in weights.items()})
    train, test = (model.encode(columns[0].float().div(255)) for columns in (data.train, data.test))
    one = fitted(1, "full", train, rounds=1)
    left = (
        test.square().sum()
        / data.test[0].float().div(255).flatten(1).sub(model.centre).square().sum()
    )
    return {
        "test_log_likelihood_nats": round(mean_log_prob(model.mixture, test), 3),
        "test_log_likelihood_one_gaussian_nats": round(mean_log_prob(one, test), 3),
        "test_variance_kept": round(left.item(), 4),
        "dimensions": model.latent,
    }
