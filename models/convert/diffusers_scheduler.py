"""A diffusers scheduler's configuration, as a noise process of ours and the sampler most like it.

`StableDiffusionPipeline` itself sets `steps_offset` to 1 and `clip_sample` to false, whatever a
configuration says, and so is it here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from models.checkpoint.header import CheckpointError


@dataclass(frozen=True, slots=True)
class SchedulerDefaults:
    """What a scheduler means by a configuration that doesn't tell."""

    sampler: str
    spacing: str = "linspace"
    to_one: bool = True
    betas: tuple[float, float] = (1e-4, 0.02)


KNOWN = {
    "DDIMScheduler": SchedulerDefaults("ddim", "leading"),
    "PNDMScheduler": SchedulerDefaults("ddim", "leading", to_one=False),
    "DDPMScheduler": SchedulerDefaults("ddim", "leading"),
    "EulerDiscreteScheduler": SchedulerDefaults("euler"),
    "EulerAncestralDiscreteScheduler": SchedulerDefaults("euler"),
    "LMSDiscreteScheduler": SchedulerDefaults("euler"),
    "HeunDiscreteScheduler": SchedulerDefaults("heun", betas=(8.5e-4, 0.012)),
    "KDPM2DiscreteScheduler": SchedulerDefaults("heun", betas=(8.5e-4, 0.012)),
    "KDPM2AncestralDiscreteScheduler": SchedulerDefaults("heun", betas=(8.5e-4, 0.012)),
    "DPMSolverMultistepScheduler": SchedulerDefaults("dpmpp_2m"),
    "DEISMultistepScheduler": SchedulerDefaults("dpmpp_2m"),
    "UniPCMultistepScheduler": SchedulerDefaults("dpmpp_2m"),
}
PREDICTIONS = {"epsilon": "eps", "v_prediction": "v", "sample": "x"}
SCHEDULES = {"linear": "linear", "scaled_linear": "scaled_linear", "squaredcos_cap_v2": "cosine"}
UNKNOWN = (
    "thresholding",
    "use_exponential_sigmas",
    "use_beta_sigmas",
    "use_flow_sigmas",
    "use_lu_lambdas",
    "sigma_min",
    "sigma_max",
)


def sampler_of(config: Mapping[str, Any]) -> str:
    """The sampler that stands nearest to this scheduler."""
    return _known(config).sampler


def process_of(config: Mapping[str, Any]) -> dict[str, JsonValue]:
    """The `process` of a header. Raises CheckpointError for what ours can't do."""
    known = _known(config)
    for name in UNKNOWN:
        if config.get(name):
            raise CheckpointError(f"its scheduler wants {name}, which can't be done here")
    steps = int(_number(config, "num_train_timesteps", 1000))
    schedule = _one_of(SCHEDULES, config.get("beta_schedule", "linear"), "beta_schedule")
    process: dict[str, JsonValue] = {
        "schedule": schedule,
        "steps": steps,
        "prediction": _one_of(
            PREDICTIONS, config.get("prediction_type", "epsilon"), "prediction_type"
        ),
        "clip": False,
        "zero_snr": bool(config.get("rescale_betas_zero_snr", False)),
        "spacing": config.get("timestep_spacing", known.spacing),
        "offset": 1,
        "to_one": config.get("set_alpha_to_one", known.to_one),
    }
    if config.get("trained_betas") is not None:
        process["betas"] = _trained_betas(config["trained_betas"], steps)
    elif schedule != "cosine":
        process["first"] = _number(config, "beta_start", known.betas[0])
        process["last"] = _number(config, "beta_end", known.betas[1])
    if config.get("use_karras_sigmas"):
        process["spacing"] = "karras"
    return process


def _number(config: Mapping[str, Any], name: str, default: float) -> float:
    """An option that is a number; null is as good as left out."""
    value = config.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CheckpointError(f"its scheduler's {name} must be a number, not {value!r}")
    return value


def _trained_betas(value: Any, steps: int) -> list[JsonValue]:
    betas = value if isinstance(value, list) else []
    if len(betas) != steps or not all(isinstance(b, float) and 0 < b < 1 for b in betas):
        raise CheckpointError(
            f"its scheduler's trained_betas must be {steps} numbers between 0 and 1"
        )
    return list(betas)


def _known(config: Mapping[str, Any]) -> SchedulerDefaults:
    name = config.get("_class_name")
    if name not in KNOWN:
        raise CheckpointError(f"its scheduler must be one of {', '.join(KNOWN)}, not {name}")
    return KNOWN[name]


def _one_of(known: Mapping[str, str], word: Any, name: str) -> str:
    if word not in known:
        listed = ", ".join(known)
        raise CheckpointError(f"its scheduler's {name} must be one of {listed}, not {word}")
    return known[word]
