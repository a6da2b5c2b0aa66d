"""The levels of noise that a sampler goes through, from the noisiest to none."""

from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.checkpoint.configs import Spacing

SPACINGS = get_args(Spacing)

KARRAS_RHO = 7.0
KARRAS_MAX = 80.0  # the largest sigma: more is noise all the same, and steps wasted on it
FAINT = 2.0**-24  # instead of an alpha_bar of 0, whose sigma is infinite; as diffusers has it


@dataclass(frozen=True, slots=True, eq=False)
class Timesteps:
    """One entry a step, (S,): the net's time, and alpha_bar before and after the step.

    In terms of sigma = sqrt((1 - alpha_bar) / alpha_bar), the noise of x / sqrt(alpha_bar), the
    last step goes to sigma 0.
    """

    t: Tensor  # float64, falling; whole but for karras
    alpha_bar: Tensor  # float32
    after: Tensor  # float32; 1 at the end, unless ScheduleEnds says otherwise

    def __len__(self) -> int:
        return len(self.t)

    @property
    def signal(self) -> Tensor:
        """sqrt(alpha_bar), (S,): what is left of the picture before each step."""
        return self.alpha_bar**0.5

    @property
    def noise(self) -> Tensor:
        """sqrt(1 - alpha_bar), (S,)."""
        return (1 - self.alpha_bar) ** 0.5

    @property
    def sigmas(self) -> Tensor:
        """(S + 1,) float32, falling to 0."""
        return torch.cat([_sigma(self.alpha_bar), torch.zeros(1)])

    def last(self, count: int) -> "Timesteps":
        """The last `count` steps of these: where a picture is noised and denoised."""
        first = len(self) - count
        return Timesteps(self.t[first:], self.alpha_bar[first:], self.after[first:])


def _sigma(alpha_bar: Tensor) -> Tensor:
    a = torch.where(alpha_bar > 0, alpha_bar, FAINT)
    return ((1 - a) / a) ** 0.5


@dataclass(frozen=True, slots=True)
class ScheduleEnds:
    """Where a path begins and ends, if not as usual."""

    offset: int = 0  # added to the times of `leading`
    final: float = 1.0  # alpha_bar after the last step


PLAIN = ScheduleEnds()


def timesteps(
    alpha_bar: Tensor, steps: int, spacing: Spacing = "even", ends: ScheduleEnds = PLAIN
) -> Timesteps:
    """Which of the T levels of a process to go through in so many steps, 1 to T of them.

    `leading`, `trailing` and `linspace` follow Lin et al. 2024 (2305.08891), table 2, and go from
    t to t - T // steps, as the reference implementations do even where that is not the next
    time. `even` is `trailing` that goes to the next time: the same where steps divide T.
    `karras`: Karras et al. 2022 (2206.00364), equation 5 and table 1, at times between whole ones.
    Raises ValueError for a count or a spacing that is not there.
    """
    total = len(alpha_bar)
    if not 1 <= steps <= total:
        raise ValueError(f"steps must be between 1 and {total}, not {steps}")
    if spacing == "karras":
        return _karras(alpha_bar, steps)
    times = _times(total, steps, spacing) + (ends.offset if spacing == "leading" else 0)
    if times[0] >= total:
        raise ValueError(f"{steps} steps from an offset of {ends.offset} are more than {total}")
    following = np.append(times[1:], -1) if spacing == "even" else times - total // steps
    t = torch.from_numpy(times)
    after = torch.full((steps,), ends.final)
    known = torch.from_numpy(following >= 0)
    after[known] = alpha_bar[torch.from_numpy(following)[known]]
    return Timesteps(t.double(), alpha_bar[t], after)


def _times(total: int, steps: int, spacing: Spacing) -> NDArray[np.int64]:
    times: NDArray[Any]
    if spacing == "leading":
        times = np.arange(steps)[::-1] * (total // steps)
    elif spacing == "linspace":
        times = np.linspace(0, total - 1, steps).round()[::-1]
    elif spacing in ("even", "trailing"):
        times = np.round(np.arange(total, 0, -total / steps))[:steps] - 1
    else:
        raise ValueError(f"spacing must be one of {', '.join(SPACINGS)}, not {spacing}")
    return times.astype(np.int64)


def _karras(alpha_bar: Tensor, steps: int) -> Timesteps:
    """Sigmas whose rho-th roots are evenly apart, and the times at which the process has them."""
    known = _sigma(alpha_bar).double().numpy()  # rising
    root = 1 / KARRAS_RHO
    ramp = np.linspace(0, 1, steps) if steps > 1 else np.zeros(1)
    largest = min(known[-1], KARRAS_MAX)
    roots = largest**root + ramp * (known[0] ** root - largest**root)
    sigmas = roots**KARRAS_RHO
    t = np.interp(np.log(sigmas), np.log(known), np.arange(len(known)))
    bars = torch.from_numpy(1 / (1 + sigmas**2)).float()
    return Timesteps(torch.from_numpy(t), bars, torch.cat([bars[1:], torch.ones(1)]))
