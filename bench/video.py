"""What a clip costs: the GAN's generator against the textbook's, its fast form, and the encoding.

1. `video-emoji`'s generator, one clip and eight, against the textbook's: a line to 8x8 places of
   512 channels, three transposed convolutions of three dimensions, one more for as many frames.
2. Its fast form is bfloat16, where the processor has it; one that only emulates it is told.
3. What encoding (MP4, poster and sheet) adds to a request of each model.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.bed import report, skip
from models.artifacts import Video
from models.checkpoint.weights import load
from models.engine.batching import Placement
from models.engine.flow import run_alone
from models.engine.noise import seeded
from models.families import FAMILIES
from models.nets.video_gan import VideoGenerator
from training.optim.amp import has_bfloat16
from workers.encoders.encode import encode
from workers.encoders.types import Facts

CPU = torch.device("cpu")
CHECKPOINTS = Path(__file__).parents[1] / "checkpoints"
GAN, DIFFUSION = "video-emoji", "video-diffusion-emoji"
FACTS = Facts("model", "", {}, 0)


def textbook(latent: int = 100, frames: int = 16, size: int = 64) -> nn.Module:
    """512 channels at an eighth of the measures, then 256, 128, 64 and the clip."""
    side = size // 8
    layers: list[nn.Module] = [
        nn.Linear(latent, 512 * side * side * (frames // 8)),
        nn.Unflatten(1, (512, frames // 8, side, side)),
    ]
    for wide in (512, 256, 128):
        layers += [nn.ConvTranspose3d(wide, wide // 2, 4, 2, 1), nn.BatchNorm3d(wide // 2)]
        layers += [nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.ConvTranspose3d(64, 3, 3, 1, 1), nn.Tanh()).eval()


def seconds_of(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    with torch.inference_mode():
        work()
    return time.perf_counter() - start


def medians(rounds: int, *works: Callable[[], object]) -> list[float]:
    """Of each, by turns, after a first round that warms up."""
    taken = [[seconds_of(work) for work in works] for _ in range(rounds + 1)][1:]
    return [statistics.median(row[i] for row in taken) for i in range(len(works))]


def generators(net: VideoGenerator, rounds: int) -> None:
    peer = textbook()
    weights = [sum(p.numel() for p in one.parameters()) / 1e6 for one in (net, peer)]
    for rows in (1, 8):
        z, told = torch.randn(rows, net.latent), torch.randn(rows, net.told)
        ours, theirs = medians(rounds, partial(net, z, told), partial(peer, z))
        report(
            f"a batch of {rows} clips by the 3D GAN, the textbook's generator",
            theirs / ours,
            "none stated",
            ours_ms=1000 * ours,
            peer_ms=1000 * theirs,
            ours_millions=weights[0],
            peer_millions=weights[1],
        )
        fast_form(net, z, told, rounds)


def fast_form(net: VideoGenerator, z: Tensor, told: Tensor, rounds: int) -> None:
    if not has_bfloat16(CPU):
        skip("video", "this processor has no bfloat16: single precision is its fast form")
        return
    half = copy.deepcopy(net).bfloat16()
    asked = (z.bfloat16(), told.bfloat16())
    fast, plain = medians(rounds, partial(half, *asked), partial(net, z, told))
    report(
        f"a batch of {len(z)} clips in bfloat16, in single precision",
        plain / fast,
        "2 or more",
        fast_ms=1000 * fast,
        plain_ms=1000 * plain,
    )


def encoding(name: str, rounds: int, **params: Any) -> None:
    """What is left of a request without it, and with it."""
    path = CHECKPOINTS / f"{name}.safetensors"
    checkpoint = load(path)
    entry = FAMILIES[checkpoint.header.family]
    model = entry.load(checkpoint, Placement(CPU))
    told = {**checkpoint.header.defaults, "prompt": "red heart", **params}
    asked = entry.params.model_validate(told)
    made: list[Video] = []

    def make() -> None:
        made[:] = [x for x in run_alone(model.generate(asked, seeded(0))) if isinstance(x, Video)]

    making, writing = medians(rounds, make, lambda: encode(made[0], "mp4", FACTS))
    report(
        f"encoding's share of a clip by {name}",
        writing / (making + writing),
        "0.05 or less",
        making_ms=1000 * making,
        encoding_ms=1000 * writing,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    for name in (GAN, DIFFUSION):
        if not (CHECKPOINTS / f"{name}.safetensors").exists():
            skip("video", f"{name} is not there")
            return
    held = load(CHECKPOINTS / f"{GAN}.safetensors")
    config: dict[str, Any] = dict(held.header.net)
    net = VideoGenerator(**config).eval()
    net.load_state_dict(
        {k: v.float() if v.is_floating_point() else v for k, v in held.tensors.items()}
    )
    generators(net, rounds)
    encoding(GAN, rounds)
    encoding(DIFFUSION, 1, steps=12)


if __name__ == "__main__":
    main()
