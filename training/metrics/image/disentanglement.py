"""Whether each latent speaks of one factor: the beta-VAE metric, and the mutual information gap.

Both look at mean latents z (N, latent) of pictures with known factors v (N, factors), which are
whole numbers from 0.
"""

from collections.abc import Callable

import numpy as np
import torch
from pydantic import JsonValue
from torch import Tensor, nn
from torch.nn import functional as F

from training.data.images.sprites import FACTORS, draw
from training.metrics.information import binned, entropy, joint_counts, mutual_information

PICTURES = 10_000  # of the whole grid, that latents are looked at for
PAIRS = 64  # whose mean difference is one example
EXAMPLES = 1_000  # to learn from, and as many to be judged by
BINS = 20

Encode = Callable[[Tensor], Tensor]
"""Pictures (B, 1, 64, 64) in [0, 1] to mean latents (B, latent)."""


def measure_disentanglement(encode: Encode, rng: torch.Generator) -> dict[str, JsonValue]:
    """Both figures over sprites, beside those of a random encoder and of a perfect one.

    The random encoder is a linear map of the pixels with normal weights, to as many latents. The
    perfect one gives the factors themselves.
    """
    sizes = tuple(FACTORS.values())
    chosen = torch.randperm(int(np.prod(sizes)), generator=rng)[:PICTURES].numpy()
    factors = np.stack(np.unravel_index(chosen, sizes), 1)
    pictures, v = torch.from_numpy(draw(factors)), torch.from_numpy(factors)
    z = _encoded(encode, pictures)
    weights = torch.randn(pictures[0].numel(), z.shape[1], generator=rng)
    latents = {
        "": z,
        "random_encoder_": _encoded(lambda x: x.flatten(1) @ weights, pictures),
        "perfect_encoder_": v.float(),
    }
    figures: dict[str, JsonValue] = {}
    for name, rows in latents.items():
        figures[f"{name}beta_vae_metric"] = round(beta_vae_metric(rows, v, rng), 4)
        figures[f"{name}mig"] = round(mutual_information_gap(rows, v), 4)
    return figures


def beta_vae_metric(z: Tensor, v: Tensor, rng: torch.Generator) -> float:
    """How well a linear classifier tells which factor was held: Higgins et al. 2017, section 3.

    An example is the mean |z_1 - z_2| of pairs that share the value of one factor while the others
    are free; its class is that factor. The accuracy is on fresh examples: 1 / factors for latents
    that say nothing, 1 where each factor has a latent of its own.
    """
    x, y = _differences(z, v, EXAMPLES, rng)
    fresh_x, fresh_y = _differences(z, v, EXAMPLES, rng)
    mean, deviation = x.mean(0), x.std(0).clamp(min=1e-12)  # a latent may never move
    classify = _linear_classifier((x - mean) / deviation, y)
    said: Tensor = classify((fresh_x - mean) / deviation)
    return float((said.argmax(1) == fresh_y).double().mean())


def mutual_information_gap(z: Tensor, v: Tensor, bins: int = BINS) -> float:
    """Mean over factors of (I(z_1; v_k) - I(z_2; v_k)) / H(v_k).

    Chen et al. 2018 (1802.04942), equation 6. z_1 and z_2 are the latents that know most of the
    factor, and next to most: 1 where one latent alone knows each factor whole. I by histograms of
    `bins` intervals.
    """
    latents = [binned(column, bins) for column in z.T]
    if len(latents) < 2:
        raise ValueError("a gap needs two latents at least")
    gaps = []
    for factor in v.T:
        shared = sorted(mutual_information(joint_counts(latent, factor)) for latent in latents)
        share = torch.bincount(factor).double() / len(factor)
        gaps.append((shared[-1] - shared[-2]) / entropy(share))
    return sum(gaps) / len(gaps)


@torch.no_grad()
def _encoded(encode: Encode, pictures: Tensor) -> Tensor:
    return torch.cat([encode(rows.float().div(255)) for rows in torch.split(pictures, 500)])


def _differences(
    z: Tensor, v: Tensor, examples: int, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Examples (N, latent) and the factor that was held in each, (N,)."""
    fixed = torch.randint(v.shape[1], (examples,), generator=rng)
    x = torch.empty(examples, z.shape[1])
    for factor in range(v.shape[1]):
        which = (fixed == factor).nonzero()[:, 0]
        one = torch.randint(len(v), (len(which), PAIRS), generator=rng)
        other = _partners(v[:, factor], one, rng)
        x[which] = (z[one] - z[other]).abs().mean(1)
    return x, fixed


def _partners(values: Tensor, rows: Tensor, rng: torch.Generator) -> Tensor:
    """For each row another, drawn evenly from those of equal value (perhaps itself)."""
    order = values.argsort(stable=True)
    counts = values.bincount()
    first = counts.cumsum(0) - counts
    mine = values[rows]
    fraction = torch.rand(rows.shape, generator=rng, dtype=torch.float64)
    return order[first[mine] + (fraction * counts[mine]).long()]


def _linear_classifier(x: Tensor, y: Tensor, rounds: int = 100) -> nn.Linear:
    """Logistic regression to convergence, from zero, with a little weight decay."""
    net = nn.Linear(x.shape[1], int(y.max()) + 1, device="meta").to_empty(device="cpu")
    for parameter in net.parameters():
        nn.init.zeros_(parameter)
    optimiser = torch.optim.LBFGS(net.parameters(), max_iter=rounds, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = F.cross_entropy(net(x), y) + 1e-4 * net.weight.square().sum()
        torch.autograd.backward(value)
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    return net
