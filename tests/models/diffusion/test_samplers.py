"""Samplers against diffusers' schedulers, and against Gaussian data, whose denoiser is known."""

import math
from collections.abc import Coroutine
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from models.checkpoint.configs import DiffusionProcess
from models.diffusion.noise_schedule import (
    Denoised,
    NoiseSchedule,
    cosine_alpha_bar,
    linear_alpha_bar,
)
from models.diffusion.samplers import SAMPLERS, ddim, ddpm, dpmpp_2m, euler, evaluations, heun
from models.diffusion.timesteps import Timesteps, timesteps

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SHAPE = (2, 8, 8)
PREDICTIONS = ("eps", "v", "x")
ORACLE = {"eps": "epsilon", "v": "v_prediction", "x": "sample"}


def finish(story: Coroutine[Any, Any, Tensor]) -> Tensor:
    """Run a story that never really waits."""
    try:
        story.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    raise AssertionError("it waits")


def net(x: Tensor, t: Tensor, process: NoiseSchedule) -> Tensor:
    """A guess at x0 that is smooth, bounded, and depends on everything, in the process's words."""
    x0 = torch.tanh(x * 0.9 + x.roll(1, -1) * 0.3 + torch.sin(t / 100).float())
    a = process.alpha_bar[t.long()]
    eps = (x - a**0.5 * x0) / (1 - a) ** 0.5
    return {"x": x0, "eps": eps, "v": a**0.5 * eps - (1 - a) ** 0.5 * x0}[process.prediction]


class Asking:
    """A denoiser over `net`, as a story has it."""

    def __init__(self, process: NoiseSchedule, path: Timesteps) -> None:
        self.process, self.path, self.asked = process, path, 0

    async def __call__(self, x: Tensor, i: int) -> Denoised:
        self.asked += 1
        said = net(x, self.path.t[i], self.process)
        return self.process.denoised(x, said, self.path.signal[i], self.path.noise[i])


def noises(count: int) -> list[Tensor]:
    rng = torch.Generator().manual_seed(4)
    return [torch.randn(SHAPE, generator=rng) for _ in range(count)]


def start() -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(9))


def oracle_options(kind: str, prediction: str) -> dict[str, Any]:
    schedule = {"linear": "linear", "cosine": "squaredcos_cap_v2"}[kind]
    return {
        "num_train_timesteps": 1000,
        "beta_start": 1e-4,
        "beta_end": 0.02,
        "beta_schedule": schedule,
        "prediction_type": ORACLE[prediction],
    }


def alpha_bar_of(kind: str) -> Tensor:
    return linear_alpha_bar() if kind == "linear" else cosine_alpha_bar()


@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_schedules_are_those_of_diffusers(kind: str) -> None:
    from diffusers import DDIMScheduler

    oracle: Any = DDIMScheduler(**oracle_options(kind, "eps"))
    assert torch.equal(alpha_bar_of(kind), oracle.alphas_cumprod)


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("steps", [1, 7, 20, 50])
def test_ddim_equals_diffusers_bit_for_bit(
    steps: int, spacing: Any, eta: float, prediction: Any, clip: bool
) -> None:
    from diffusers import DDIMScheduler

    if steps == 1 and spacing == "linspace":
        pytest.skip("diffusers begins its one step at time 0: nothing is denoised")
    oracle: Any = DDIMScheduler(
        **oracle_options("linear", prediction), timestep_spacing=spacing, clip_sample=clip
    )
    oracle.set_timesteps(steps)
    process = NoiseSchedule(linear_alpha_bar(), prediction, clip)
    path = timesteps(process.alpha_bar, steps, spacing)
    assert path.t.long().tolist() == oracle.timesteps.tolist()
    fresh, x = noises(steps), start()
    draws = iter(fresh)
    got = finish(ddim(Asking(process, path), x, path, lambda: next(draws), eta))
    for t, noise in zip(oracle.timesteps, fresh, strict=True):
        x = oracle.step(
            net(x, t.double(), process),
            t,
            x,
            eta=eta,
            use_clipped_model_output=False,
            variance_noise=noise,
        ).prev_sample
    assert torch.equal(got, x)


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("kind", ["linear", "cosine"])
@pytest.mark.parametrize("steps", [50, 1000])
def test_ddpm_agrees_with_diffusers(steps: int, kind: str, prediction: Any) -> None:
    from diffusers import DDPMScheduler

    oracle: Any = DDPMScheduler(
        **oracle_options(kind, prediction),
        clip_sample=False,
        variance_type="fixed_small",
        timestep_spacing="leading",
    )
    oracle.set_timesteps(steps)
    process = NoiseSchedule(alpha_bar_of(kind), prediction, clip=False)
    path = timesteps(process.alpha_bar, steps, "leading")
    fresh, x = noises(steps), start()
    noise = iter(fresh)
    got = finish(ddpm(Asking(process, path), x, path, lambda: next(noise)))
    left = iter(fresh)

    def draw(*_: Any, **__: Any) -> Tensor:
        return next(left)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("diffusers.schedulers.scheduling_ddpm.randn_tensor", draw)
        for t in oracle.timesteps:
            x = oracle.step(net(x, t.double(), process), t, x).prev_sample
    assert (got - x).abs().max() < 1e-4


def in_sigma_space(oracle: Any, steps: int, path: Timesteps, process: NoiseSchedule) -> Tensor:
    """The oracle's own loop, at the scale at which sigma counts."""
    oracle.set_timesteps(steps)
    x = start() * (path.sigmas[0] ** 2 + 1) ** 0.5
    for t in oracle.timesteps:
        said = net(oracle.scale_model_input(x, t), t.double(), process)
        x = oracle.step(said, t, x).prev_sample
    return x


@pytest.mark.parametrize("prediction", ["eps", "v"])
@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize("steps", [5, 20, 50])
def test_euler_agrees_with_diffusers(steps: int, spacing: Any, prediction: Any) -> None:
    from diffusers import EulerDiscreteScheduler

    options = oracle_options("linear", prediction)
    process = NoiseSchedule(linear_alpha_bar(), prediction, clip=False)
    path = timesteps(process.alpha_bar, steps, spacing)
    got = finish(euler(Asking(process, path), start(), path, start))
    oracle: Any = EulerDiscreteScheduler(**options, timestep_spacing=spacing)
    want = in_sigma_space(oracle, steps, path, process)
    assert (got - want).abs().max() < 1e-4


@pytest.mark.parametrize("prediction", ["eps", "v"])
@pytest.mark.parametrize("steps", [5, 20, 50])
def test_heun_agrees_with_diffusers(steps: int, prediction: Any) -> None:
    from diffusers import HeunDiscreteScheduler

    options = oracle_options("linear", prediction)
    process = NoiseSchedule(linear_alpha_bar(), prediction, clip=False)
    path = timesteps(process.alpha_bar, steps, "trailing")
    asking = Asking(process, path)
    got = finish(heun(asking, start(), path, start))
    oracle: Any = HeunDiscreteScheduler(**options, timestep_spacing="trailing")
    want = in_sigma_space(oracle, steps, path, process)
    assert (got - want).abs().max() < 1e-4
    assert asking.asked == evaluations("heun", steps)


@pytest.mark.parametrize("prediction", ["eps", "v"])
@pytest.mark.parametrize("steps", [5, 20, 50])
def test_dpmpp_2m_agrees_with_diffusers(steps: int, prediction: Any) -> None:
    from diffusers import DPMSolverMultistepScheduler

    oracle: Any = DPMSolverMultistepScheduler(
        **oracle_options("linear", prediction),
        algorithm_type="dpmsolver++",
        solver_order=2,
        final_sigmas_type="zero",
        timestep_spacing="trailing",
        euler_at_final=True,
    )
    process = NoiseSchedule(linear_alpha_bar(), prediction, clip=False)
    path = timesteps(process.alpha_bar, steps, "trailing")
    got = finish(dpmpp_2m(Asking(process, path), start(), path, start))
    oracle.set_timesteps(steps)
    x = start()
    for t in oracle.timesteps:
        x = oracle.step(net(x, t.double(), process), t, x).prev_sample
    assert (got - x).abs().max() < 1e-4


MEAN, DEVIATION = 0.4, 0.2


class Gaussian:
    """The exact denoiser of pixels that are N(MEAN, DEVIATION^2): the posterior mean."""

    def __init__(self, path: Timesteps) -> None:
        self.path = path

    async def __call__(self, x: Tensor, i: int) -> Denoised:
        a = self.path.alpha_bar[i]
        variance = a * DEVIATION**2 + 1 - a
        x0 = MEAN + a**0.5 * DEVIATION**2 / variance * (x - a**0.5 * MEAN)
        return Denoised(x0, (x - a**0.5 * x0) / (1 - a) ** 0.5)


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
@pytest.mark.parametrize("spacing", ["even", "karras"])
def test_every_sampler_turns_noise_into_the_data(
    sampler: str, spacing: Literal["even", "karras"]
) -> None:
    path = timesteps(cosine_alpha_bar(), 400, spacing)
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(50_000, generator=rng)
    noise = lambda: torch.randn(50_000, generator=rng)  # noqa: E731
    samples = finish(SAMPLERS[sampler](Gaussian(path), x, path, noise))
    assert samples.mean().item() == pytest.approx(MEAN, abs=0.01)
    assert samples.std().item() == pytest.approx(DEVIATION, rel=0.05)


@pytest.mark.parametrize("sampler", ["ddim", "euler", "heun", "dpmpp_2m"])
def test_deterministic_samplers_follow_the_known_way_to_its_end(sampler: str) -> None:
    """The probability flow of Gaussian data is a line: x0 = MEAN + DEVIATION * its noise."""
    path = timesteps(cosine_alpha_bar(), 1000)
    x = torch.linspace(-2, 2, 9)
    samples = finish(SAMPLERS[sampler](Gaussian(path), x, path, lambda: torch.zeros(9)))
    tolerance = {"heun": 2e-3, "dpmpp_2m": 2e-3}.get(sampler, 2e-2)
    assert torch.allclose(samples, MEAN + DEVIATION * x, atol=tolerance)


def test_heun_errs_less_than_euler() -> None:
    path, x = timesteps(linear_alpha_bar(), 30, "karras"), torch.linspace(-2, 2, 9)
    right = MEAN + DEVIATION * x
    errors = [
        (finish(sampler(Gaussian(path), x, path, lambda: x)) - right).abs().max().item()
        for sampler in (heun, euler)
    ]
    assert errors[0] < errors[1] / 4


@pytest.mark.parametrize("spacing", ["even", "leading", "trailing", "linspace", "karras"])
@pytest.mark.parametrize("steps", [1, 3, 50, 333, 1000])
def test_levels_fall_to_none(spacing: Any, steps: int) -> None:
    path = timesteps(linear_alpha_bar(), steps, spacing)
    assert len(path) == len(path.alpha_bar) == len(path.after) == steps
    assert (path.t.diff() < 0).all()
    assert (path.alpha_bar.diff() > 0).all()
    assert path.after[-1] == 1
    assert (path.after >= path.alpha_bar).all()
    assert path.sigmas[-1] == 0


def test_even_levels_meet_end_to_end_where_steps_do_not_divide() -> None:
    even, trailing = (timesteps(linear_alpha_bar(), 30, s) for s in ("even", "trailing"))
    assert torch.equal(even.after[:-1], even.alpha_bar[1:])
    assert torch.equal(even.t, trailing.t)
    assert not torch.equal(trailing.after[:-1], trailing.alpha_bar[1:])
    dividing = [timesteps(linear_alpha_bar(), 50, s) for s in ("even", "trailing")]
    assert torch.equal(dividing[0].after, dividing[1].after)


def test_karras_sigmas_are_those_of_diffusers() -> None:
    from diffusers import EulerDiscreteScheduler

    oracle: Any = EulerDiscreteScheduler(
        **oracle_options("linear", "eps"), use_karras_sigmas=True, sigma_max=80.0
    )
    oracle.set_timesteps(20)
    path = timesteps(linear_alpha_bar(), 20, "karras")
    assert torch.allclose(path.sigmas, oracle.sigmas, rtol=1e-3)
    assert torch.allclose(path.t, oracle.timesteps.double(), atol=0.1)


@pytest.mark.parametrize("steps", [0, 1001, -1])
def test_a_count_of_steps_that_is_not_there_is_refused(steps: int) -> None:
    with pytest.raises(ValueError, match="between 1 and 1000"):
        timesteps(linear_alpha_bar(), steps)


def test_unknown_words_are_refused() -> None:
    with pytest.raises(ValueError, match="spacing must be one of even"):
        timesteps(linear_alpha_bar(), 5, "odd")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="schedule must be one of linear, cosine, scaled_linear"):
        NoiseSchedule.of(DiffusionProcess.parse({"schedule": "odd"}))
    with pytest.raises(ValueError, match="prediction must be one of eps, v, x, not odd"):
        NoiseSchedule.of(DiffusionProcess.parse({"prediction": "odd"}))


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_denoised_undoes_noised(prediction: Any) -> None:
    process = NoiseSchedule(cosine_alpha_bar(), prediction, clip=False)
    x0, eps, t = torch.rand(3, 1, 4, 4), torch.randn(3, 1, 4, 4), torch.tensor([5, 300, 900])
    x, said = process.noised(x0, eps, t), process.target(x0, eps, t)
    for i in range(3):
        a = process.alpha_bar[t[i]]
        denoised = process.denoised(x[i], said[i], a**0.5, (1 - a) ** 0.5)
        assert torch.allclose(denoised.x0, x0[i], atol=1e-4)
        assert torch.allclose(denoised.eps, eps[i], atol=1e-3)


def test_noise_ends_as_noise() -> None:
    assert math.sqrt(cosine_alpha_bar()[-1]) < 1e-3
    assert math.sqrt(linear_alpha_bar()[-1]) < 0.01
