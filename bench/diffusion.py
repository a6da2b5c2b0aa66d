"""16 concurrent diffusion requests against a one-at-a-time service of diffusers, on one core.

The peer is diffusers' `DDIMPipeline` over the same U-Net weights, at batch 1, as its users have it
(weights in torch's own layout), and once more with our memory layout. Both sides do the same
number of network evaluations for each request, all from one queue that is full at the start, up
to the encoded PNG; only our requests differ in sampler, seed and step count. Single precision
against single, bfloat16 against bfloat16.
"""

import copy
import io
import logging
import statistics
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from bench.harness import (
    CHECKPOINTS,
    CPU,
    checked,
    parse_options,
    repeat,
    report,
    report_ratio,
    run_flows,
    skip,
    time_in_turn,
)
from models.checkpoint.weights import load
from models.diffusion.denoiser import TICKS
from models.diffusion.pixel_diffusion import Diffusion
from models.diffusion.samplers import evaluations
from models.engine.batching import Placement, run_together
from models.engine.determinism import check_determinism
from models.engine.engine import Engine
from models.engine.noise import seeded
from models.nets.unet import UNet
from models.params.diffusion import DiffusionParams
from workers.encoders.encode import encode
from workers.encoders.types import Facts

CHECKPOINT = CHECKPOINTS / "ddpm-fashion.safetensors"
SAMPLERS = ("ddim", "euler", "dpmpp_2m", "ddpm", "heun")
COUNTS = (10, 14, 18, 22)
REQUESTS = [
    DiffusionParams.model_validate(
        # heun evaluates the net twice a step
        {"sampler": SAMPLERS[i % 5], "steps": COUNTS[i % 4] // (2 if i % 5 == 4 else 1)}
    )
    for i in range(16)
]
SMOKE_REQUESTS = [DiffusionParams(sampler="ddim", steps=1), DiffusionParams(steps=2)]
NAMES = {torch.float32: "single precision", torch.bfloat16: "bfloat16"}


def generate(model: Diffusion, requests: Sequence[DiffusionParams]) -> dict[str, float]:
    """Generates all at once through the engine; seconds until all were done, and the mean."""
    facts, ends = Facts("ddpm-fashion", "", {}, 0), []
    start = time.perf_counter()
    flows = ((seed, model.generate(x, seeded(seed))) for seed, x in enumerate(requests))
    for finished in run_flows(Engine(CPU), flows):
        encode(finished.artifacts[0], "png", facts)
        ends.append(time.perf_counter() - start)
    return {"ours_s": ends[-1], "latency_ours_s": statistics.mean(ends)}


def generate_by_pipeline(pipeline: Any, requests: Sequence[DiffusionParams]) -> dict[str, float]:
    """The same requests, first come, first served."""
    ends = []
    start = time.perf_counter()
    for seed, params in enumerate(requests):
        steps = evaluations(params.sampler, params.steps)
        rng = torch.Generator().manual_seed(seed)
        picture = pipeline(num_inference_steps=steps, generator=rng, output_type="pil").images[0]
        picture.save(io.BytesIO(), "PNG", compress_level=1)
        ends.append(time.perf_counter() - start)
    return {"peer_s": ends[-1], "latency_peer_s": statistics.mean(ends)}


def compare(
    model: Diffusion, pipeline: Any, requests: Sequence[DiffusionParams]
) -> dict[str, float]:
    return generate(model, requests) | generate_by_pipeline(pipeline, requests)


def pipeline_of(net: UNet, dtype: torch.dtype, layout: torch.memory_format) -> Any:
    """diffusers' own pipeline and scheduler around these weights."""
    from diffusers import DDIMPipeline, DDIMScheduler, ModelMixin
    from diffusers.configuration_utils import ConfigMixin, register_to_config
    from diffusers.utils.outputs import BaseOutput

    class Prediction(BaseOutput):
        sample: Tensor

    class Net(ModelMixin, ConfigMixin):
        @register_to_config  # type: ignore[untyped-decorator]
        def __init__(self, sample_size: int = 32, in_channels: int = 1) -> None:
            super().__init__()
            self.net = copy.deepcopy(net).to(dtype).to(memory_format=layout)
            self.uncond = torch.tensor([net.classes])

        @property
        def dtype(self) -> torch.dtype:
            """The pictures' dtype: as with ours, only the net runs in the other precision."""
            return torch.float32

        def forward(self, x: Tensor, t: Tensor) -> Any:
            v = self.net(x.to(dtype), t.reshape(1).float(), self.uncond)
            return Prediction(sample=v.float())

    scheduler = DDIMScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        clip_sample=True,
    )
    pipeline: Any = DDIMPipeline(Net(net.size, net.channels), scheduler)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def throughput(dtype: torch.dtype, rounds: int, requests: Sequence[DiffusionParams]) -> None:
    model = Diffusion(load(CHECKPOINT), Placement(CPU, dtype))
    determinism = check_determinism(model.batched, CPU).determinism
    layouts = {"as it comes": torch.contiguous_format, "in our layout": torch.channels_last}
    for name, layout in layouts.items():
        pipeline = pipeline_of(model.net.float(), dtype, layout)
        model.net.to(dtype).to(memory_format=torch.channels_last)
        figures = repeat(rounds, partial(compare, model, pipeline, requests))
        report(
            f"{len(requests)} concurrent requests, DDIMPipeline {name} one at a time, "
            f"{NAMES[dtype]}",
            figures.ratio("peer_s", "ours_s"),
            "2.5 or more",
            **{key: figures.median(key) for key in figures.rounds[0]},
            rows_at_once=model.predict.max_batch or model.predict.pad_to or 0,
            determinism=determinism,
        )


def overhead(rounds: int, requests: int = 8, steps: int = 20) -> None:
    """What the engine adds to the network's own time, requests of one step count."""
    model = Diffusion(load(CHECKPOINT), Placement(CPU))
    if rounds:
        check_determinism(model.batched, CPU)
    in_net = [0.0]
    net: Any = model.net
    forward = net.forward

    def timed(*args: Any) -> Any:
        start = time.perf_counter()
        prediction = forward(*args)
        in_net[0] += time.perf_counter() - start
        return prediction

    net.forward = timed

    def run() -> dict[str, float]:
        engine, ticks, in_net[0] = Engine(CPU), 0, 0.0
        for seed in range(requests):
            params = DiffusionParams(steps=steps)
            checked(engine.add(seed, model.generate(params, seeded(seed))))
        start = time.perf_counter()
        while len(engine):
            checked(engine.tick())
            ticks += 1
        seconds = time.perf_counter() - start
        return {"extra": (seconds - in_net[0]) / ticks, "net": in_net[0] / ticks}

    figures = repeat(rounds, run)
    extra, net = figures.median("extra"), figures.median("net")
    report(
        "engine, seam and sampler beside a 20 ms step",
        extra / 0.02,
        "0.02 or less",
        overhead_us_a_tick=1e6 * extra,
        network_ms_a_tick=1000 * net,
        share_here=extra / net,
    )


def mixed_times(rounds: int) -> None:
    """Four rows at four times against four rows at one."""
    model = Diffusion(load(CHECKPOINT), Placement(CPU))
    x, label = torch.randn(model.shape), torch.tensor(model.net.classes)

    def predict(times: list[int]) -> None:
        rows = [(x, torch.tensor(t * TICKS), label) for t in times]
        for _ in range(10 if rounds else 1):
            run_together(model.predict, rows, CPU)

    measured = time_in_turn(
        rounds,
        mixed_s=lambda: predict([900, 600, 300, 10]),
        equal_s=lambda: predict([500] * 4),
    )
    claim = "rows at different times against rows at one"
    report_ratio(claim, measured, "mixed_s", "equal_s", "1.05 or less")


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_options(ArgumentParser(description=__doc__), argv, rounds=5)
    if not CHECKPOINT.exists():
        skip("diffusion", "its checkpoint is not there")
        return
    logging.getLogger("diffusers").setLevel(logging.ERROR)
    mixed_times(options.rounds)
    if options.smoke:
        overhead(0, requests=2, steps=2)
        throughput(torch.float32, 0, SMOKE_REQUESTS)
        return
    overhead(options.rounds)
    for dtype in NAMES:
        throughput(dtype, options.rounds, REQUESTS)


if __name__ == "__main__":
    main()
