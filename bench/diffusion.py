"""16 concurrent diffusion requests against a one-at-a-time service of diffusers, on one core.

The peer is diffusers' `DDIMPipeline` over the same U-Net weights, at batch 1, as its users have it
(weights in torch's own layout), and once more with our memory layout. Both sides do the same
number of network evaluations for each request, all from one queue that is full at the start, up
to the encoded PNG; only our requests differ in sampler, seed and step count. Single precision
against single, bfloat16 against bfloat16.
"""

import argparse
import copy
import io
import logging
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.bed import checked, report, skip
from models.checkpoint.weights import load
from models.diffusion.denoiser import TICKS
from models.diffusion.pixel_diffusion import Diffusion
from models.diffusion.samplers import evaluations
from models.engine.batching import Placement, run_together
from models.engine.determinism import check_determinism
from models.engine.engine import Engine, Finished
from models.engine.noise import seeded
from models.nets.unet import UNet
from models.params.diffusion import DiffusionParams
from workers.encoders.encode import encode
from workers.encoders.types import Facts

CPU = torch.device("cpu")
CHECKPOINT = Path(__file__).parents[1] / "checkpoints/ddpm-fashion.safetensors"
SAMPLERS = ("ddim", "euler", "dpmpp_2m", "ddpm", "heun")
COUNTS = (10, 14, 18, 22)
REQUESTS = [
    {"sampler": SAMPLERS[i % 5], "steps": COUNTS[i % 4] // (2 if i % 5 == 4 else 1)}
    for i in range(16)
]
NAMES = {torch.float32: "single precision", torch.bfloat16: "bfloat16"}


@dataclass(frozen=True)
class Served:
    """Seconds until all were done, and until each was, on average."""

    whole: float
    latency: float


def ours(model: Diffusion) -> Served:
    """All requests at once through the engine."""
    facts, engine, ends = Facts("ddpm-fashion", "", {}, 0), Engine(CPU), []
    start = time.perf_counter()
    for seed, request in enumerate(REQUESTS):
        params = DiffusionParams.model_validate(request)
        checked(engine.add(seed, model.generate(params, seeded(seed))))
    while len(engine):
        for event in checked(engine.tick()):
            if isinstance(event, Finished):
                encode(event.artifacts[0], "png", facts)
                ends.append(time.perf_counter() - start)
    return Served(ends[-1], statistics.mean(ends))


def theirs(pipeline: Any) -> Served:
    """The same requests, first come, first served."""
    ends = []
    start = time.perf_counter()
    for seed, request in enumerate(REQUESTS):
        steps = evaluations(str(request["sampler"]), int(request["steps"]))
        rng = torch.Generator().manual_seed(seed)
        made = pipeline(num_inference_steps=steps, generator=rng, output_type="pil").images[0]
        made.save(io.BytesIO(), "PNG", compress_level=1)
        ends.append(time.perf_counter() - start)
    return Served(ends[-1], statistics.mean(ends))


def pipeline_of(net: UNet, dtype: torch.dtype, layout: torch.memory_format) -> Any:
    """diffusers' own pipeline and scheduler around these weights."""
    from diffusers import ConfigMixin, DDIMPipeline, DDIMScheduler, ModelMixin
    from diffusers.configuration_utils import register_to_config
    from diffusers.utils import BaseOutput

    class Answer(BaseOutput):  # type: ignore[misc]
        sample: Tensor

    class Wrapped(ModelMixin, ConfigMixin):  # type: ignore[misc]
        @register_to_config
        def __init__(self, sample_size: int = 32, in_channels: int = 1) -> None:
            super().__init__()
            self.net = copy.deepcopy(net).to(dtype).to(memory_format=layout)
            self.none = torch.tensor([net.classes])

        @property
        def dtype(self) -> torch.dtype:
            """Of the pictures: as with ours, only the net itself runs in the other precision."""
            return torch.float32

        def forward(self, x: Tensor, t: Tensor) -> Any:
            said = self.net(x.to(dtype), t.reshape(1).float(), self.none)
            return Answer(sample=said.float())

    scheduler = DDIMScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        clip_sample=True,
    )
    pipeline = DDIMPipeline(Wrapped(net.size, net.channels), scheduler)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def paired(rounds: int, a: Callable[[], Served], b: Callable[[], Served]) -> list[Any]:
    """Both in turn, as often as told; the first pair warms up and doesn't count."""
    return [(a(), b()) for _ in range(rounds + 1)][1:]


def throughput(dtype: torch.dtype, rounds: int) -> None:
    model = Diffusion(load(CHECKPOINT), Placement(CPU, dtype))
    proof = check_determinism(model.batched, CPU)
    layouts = {"as it comes": torch.contiguous_format, "in our layout": torch.channels_last}
    for name, layout in layouts.items():
        pipeline = pipeline_of(model.net.float(), dtype, layout)
        model.net.to(dtype).to(memory_format=torch.channels_last)
        pairs = paired(rounds, partial(ours, model), partial(theirs, pipeline))
        report(
            f"{len(REQUESTS)} concurrent requests, DDIMPipeline {name} one at a time, "
            f"{NAMES[dtype]}",
            statistics.median(b.whole / a.whole for a, b in pairs),
            "2.5 or more",
            ours_s=statistics.median(a.whole for a, _ in pairs),
            peer_s=statistics.median(b.whole for _, b in pairs),
            latency_ours_s=statistics.median(a.latency for a, _ in pairs),
            latency_peer_s=statistics.median(b.latency for _, b in pairs),
            rows_at_once=model.predict.max_batch or model.predict.pad_to or 0,
            determinism=proof.determinism,
        )


def overhead(rounds: int) -> None:
    """What the engine adds to the network's own time, 8 requests of one step count."""
    model = Diffusion(load(CHECKPOINT), Placement(CPU))
    check_determinism(model.batched, CPU)
    inside = [0.0]
    forward = model.net.forward

    def timed(x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        start = time.perf_counter()
        said = forward(x, t, label)
        inside[0] += time.perf_counter() - start
        return said

    model.net.forward = timed  # type: ignore[method-assign]
    shares, ticks = [], 0
    for _ in range(rounds):
        engine, ticks, inside[0] = Engine(CPU), 0, 0.0
        for seed in range(8):
            checked(engine.add(seed, model.generate(DiffusionParams(steps=20), seeded(seed))))
        start = time.perf_counter()
        while len(engine):
            checked(engine.tick())
            ticks += 1
        whole = time.perf_counter() - start
        shares.append(((whole - inside[0]) / ticks, inside[0] / ticks))
    extra, step = (statistics.median(column) for column in zip(*shares, strict=True))
    report(
        "engine, seam and sampler beside a 20 ms step",
        extra / 0.02,
        "0.02 or less",
        overhead_us_a_tick=1e6 * extra,
        network_ms_a_tick=1000 * step,
        share_here=extra / step,
    )


def mixed_times(rounds: int) -> None:
    """Four rows at four times against four rows at one."""
    model = Diffusion(load(CHECKPOINT), Placement(CPU))
    x, label = torch.randn(model.shape), torch.tensor(model.net.classes)

    def seconds(times: list[int]) -> float:
        rows = [(x, torch.tensor(t * TICKS), label) for t in times]
        start = time.perf_counter()
        for _ in range(10):
            run_together(model.predict, rows, CPU)
        return time.perf_counter() - start

    pairs = [(seconds([900, 600, 300, 10]), seconds([500] * 4)) for _ in range(rounds + 1)][1:]
    report(
        "rows at different times against rows at one",
        statistics.median(mixed / equal for mixed, equal in pairs),
        "1.05 or less",
        mixed_ms=100 * statistics.median(a for a, _ in pairs),
        equal_ms=100 * statistics.median(b for _, b in pairs),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    if not CHECKPOINT.exists():
        skip("diffusion", "its checkpoint is not there")
        return
    logging.getLogger("diffusers").setLevel(logging.ERROR)
    mixed_times(rounds)
    overhead(rounds)
    for dtype in (torch.float32, torch.bfloat16):
        throughput(dtype, rounds)


if __name__ == "__main__":
    main()
