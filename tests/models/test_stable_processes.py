"""Noise processes and levels as Stable Diffusion has them, against diffusers' schedulers."""

import inspect
from typing import Any

import pytest
import torch

from models.checkpoint.configs import DiffusionProcess
from models.diffusion.noise_schedule import NoiseSchedule, scaled_linear_alpha_bar
from models.diffusion.samplers import ddim, dpmpp_2m, euler
from models.diffusion.timesteps import ScheduleEnds, timesteps
from tests.models.diffusion.test_samplers import ORACLE, Asking, finish, in_sigma_space, net, start

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

STABLE: dict[str, Any] = {  # as Stable Diffusion's folders have it, by diffusers' names
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}


def stable_options(kind: type[Any], prediction: str, **more: Any) -> dict[str, Any]:
    """What of these this scheduler knows."""
    known = inspect.signature(kind.__init__).parameters
    options = {**STABLE, "prediction_type": ORACLE[prediction], **more}
    return {name: value for name, value in options.items() if name in known}


@pytest.mark.parametrize("schedule", ["linear", "scaled_linear", "squaredcos_cap_v2"])
@pytest.mark.parametrize("zero_snr", [False, True])
def test_processes_of_a_header_are_those_of_diffusers(schedule: str, zero_snr: bool) -> None:
    from diffusers import DDIMScheduler

    options = {**STABLE, "beta_schedule": schedule, "num_train_timesteps": 500}
    scheduler: Any = DDIMScheduler(**options, rescale_betas_zero_snr=zero_snr)
    oracle = scheduler.alphas_cumprod
    values = {"schedule": schedule, "steps": 500, "first": 0.00085, "last": 0.012}
    if schedule == "squaredcos_cap_v2":
        values = {"schedule": "cosine", "steps": 500}
    alpha_bar = NoiseSchedule.of(
        DiffusionProcess.parse({**values, "zero_snr": zero_snr, "prediction": "v"})
    ).alpha_bar
    assert torch.allclose(alpha_bar, oracle, atol=1e-6)
    assert zero_snr or torch.equal(alpha_bar, oracle)
    assert not zero_snr or alpha_bar[-1] == 0


def test_a_net_that_predicts_noise_has_no_use_for_pure_noise() -> None:
    with pytest.raises(ValueError, match="finds no picture"):
        NoiseSchedule.of(DiffusionProcess.parse({"zero_snr": True, "prediction": "eps"}))


@pytest.mark.parametrize("prediction", ["eps", "v"])
@pytest.mark.parametrize("to_one", [False, True])
@pytest.mark.parametrize("steps", [1, 7, 30, 50, 999])
def test_stable_ddim_equals_diffusers_bit_for_bit(
    steps: int, to_one: bool, prediction: Any
) -> None:
    from diffusers import DDIMScheduler

    options = stable_options(DDIMScheduler, prediction, set_alpha_to_one=to_one)
    oracle: Any = DDIMScheduler(**options)
    oracle.set_timesteps(steps)
    process = NoiseSchedule(scaled_linear_alpha_bar(), prediction, clip=False)
    ends = ScheduleEnds(1, 1.0 if to_one else process.alpha_bar[0].item())
    path = timesteps(process.alpha_bar, steps, "leading", ends)
    assert path.t.long().tolist() == oracle.timesteps.tolist()
    x = start()
    got = finish(ddim(Asking(process, path), x, path, start))
    for t in oracle.timesteps:
        x = oracle.step(net(x, t.double(), process), t, x).prev_sample
    assert torch.equal(got, x)


@pytest.mark.parametrize("prediction", ["eps", "v"])
@pytest.mark.parametrize("steps", [7, 30])
def test_stable_euler_agrees_with_diffusers(steps: int, prediction: Any) -> None:
    from diffusers import EulerDiscreteScheduler

    options = stable_options(EulerDiscreteScheduler, prediction, timestep_spacing="leading")
    process = NoiseSchedule(scaled_linear_alpha_bar(), prediction, clip=False)
    path = timesteps(process.alpha_bar, steps, "leading", ScheduleEnds(1))
    got = finish(euler(Asking(process, path), start(), path, start))
    want = in_sigma_space(EulerDiscreteScheduler(**options), steps, path, process)
    assert (got - want).abs().max() < 1e-4


def test_euler_from_pure_noise_agrees_with_diffusers() -> None:
    from diffusers import EulerDiscreteScheduler

    more = {"timestep_spacing": "trailing", "rescale_betas_zero_snr": True}
    options = stable_options(EulerDiscreteScheduler, "v", **more)
    process = NoiseSchedule.of(
        DiffusionProcess.parse({"schedule": "scaled_linear", "zero_snr": True, "prediction": "v"})
    )
    process = NoiseSchedule(process.alpha_bar, "v", clip=False)
    path = timesteps(process.alpha_bar, 20, "trailing")
    assert path.sigmas.isfinite().all()
    got = finish(euler(Asking(process, path), start(), path, start))
    want = in_sigma_space(EulerDiscreteScheduler(**options), 20, path, process)
    assert (got - want).abs().max() < 1e-3  # x is of the order of 4096 at first


@pytest.mark.parametrize("prediction", ["eps", "v"])
@pytest.mark.parametrize("steps", [7, 30])
def test_stable_dpmpp_2m_agrees_with_diffusers_at_the_same_times(
    steps: int, prediction: Any
) -> None:
    """Its own `leading` times are T // (steps + 1) apart, where the rest take T // steps."""
    from diffusers import DPMSolverMultistepScheduler

    options = stable_options(DPMSolverMultistepScheduler, prediction)
    oracle: Any = DPMSolverMultistepScheduler(**options, final_sigmas_type="zero")
    process = NoiseSchedule(scaled_linear_alpha_bar(), prediction, clip=False)
    path = timesteps(process.alpha_bar, steps, "leading", ScheduleEnds(1))
    got = finish(dpmpp_2m(Asking(process, path), start(), path, start))
    oracle.set_timesteps(timesteps=path.t.long().tolist())
    x = start()
    for t in oracle.timesteps:
        x = oracle.step(net(x, t.double(), process), t, x).prev_sample
    assert (got - x).abs().max() < 1e-4


def test_levels_beyond_the_last_are_refused() -> None:
    alpha_bar = scaled_linear_alpha_bar()
    assert timesteps(alpha_bar, 999, "leading", ScheduleEnds(1)).t[0] == 999
    with pytest.raises(ValueError, match="1000 steps from an offset of 1 are more than 1000"):
        timesteps(alpha_bar, 1000, "leading", ScheduleEnds(1))
