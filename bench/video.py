"""What a clip costs: the GAN's generator against the textbook's, its fast form, and the encoding.

1. `video-emoji` makes one clip and eight from a text's vector: its guess, its generator, and the
   decoder of its latents. The textbook's generator has a linear layer to 8x8 positions of 512
   channels, three transposed 3D convolutions, and one 3D convolution.
2. Its fast form is bfloat16, where the processor has it.
3. What encoding (MP4, poster and sheet) adds to a request of each model.
"""

from argparse import ArgumentParser
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from bench.harness import (
    CHECKPOINTS,
    CPU,
    parse_options,
    report_ratio,
    skip,
    time_in_turn,
)
from models.artifacts import Video
from models.checkpoint.weights import Checkpoint, load
from models.engine.batching import Placement
from models.engine.flow import run_alone
from models.engine.noise import seeded
from models.families import FAMILIES
from models.video.video_gan import VideoGAN
from training.optim.amp import has_bfloat16
from workers.encoders.encode import encode
from workers.encoders.types import Facts

GAN, DIFFUSION = "video-emoji", "video-diffusion-emoji"
LATENT = 100  # of the textbook's
FACTS = Facts("model", "", {}, 0)


def build_textbook(latent: int = LATENT, frames: int = 16, size: int = 64) -> nn.Module:
    """512 channels at an eighth of the size, then 256, 128, 64 and the clip."""
    side = size // 8
    layers: list[nn.Module] = [
        nn.Linear(latent, 512 * side * side * (frames // 8)),
        nn.Unflatten(1, (512, frames // 8, side, side)),
    ]
    for wide in (512, 256, 128):
        layers += [nn.ConvTranspose3d(wide, wide // 2, 4, 2, 1), nn.BatchNorm3d(wide // 2)]
        layers += [nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.ConvTranspose3d(64, 3, 3, 1, 1), nn.Tanh()).eval()


def compare_generators(checkpoint: Checkpoint, rows: int, rounds: int) -> None:
    peer, model = build_textbook(), VideoGAN(checkpoint, Placement(CPU))
    z = torch.randn(rows, model.net.latent)
    text = F.normalize(torch.randn(rows, model.net.text_dim), dim=1)
    ours = torch.inference_mode()(partial(model.make_clips, z, text))
    nets: tuple[nn.Module, ...] = (model.net, model.guess, model.autoencoder.decoder)
    report_ratio(
        f"a batch of {rows} clips by the 3D GAN, the textbook's generator",
        time_in_turn(
            rounds, ours_s=ours, peer_s=torch.inference_mode()(partial(peer, z[:, :LATENT]))
        ),
        "peer_s",
        "ours_s",
        ours_millions=sum(p.numel() for net in nets for p in net.parameters()) / 1e6,
        peer_millions=sum(p.numel() for p in peer.parameters()) / 1e6,
    )
    if not has_bfloat16(CPU):
        skip("video", "this processor has no bfloat16: single precision is its fast form")
        return
    fast = VideoGAN(checkpoint, Placement(CPU, torch.bfloat16))
    half = torch.inference_mode()(partial(fast.make_clips, z.bfloat16(), text.bfloat16()))
    measured = time_in_turn(rounds, bfloat16_s=half, float32_s=ours)
    claim = f"a batch of {rows} clips in bfloat16, in single precision"
    report_ratio(claim, measured, "float32_s", "bfloat16_s", "2 or more")


def measure_encoding(name: str, rounds: int, **params: Any) -> None:
    """How much encoding adds to a request."""
    checkpoint = load(CHECKPOINTS / f"{name}.safetensors")
    entry = FAMILIES[checkpoint.header.family]
    model = entry.load(checkpoint, Placement(CPU))
    request = entry.params.model_validate(
        {**checkpoint.header.defaults, "prompt": "red heart", **params}
    )
    clips: list[Video] = []

    def generate() -> None:
        artifacts = run_alone(model.generate(request, seeded(0)))
        clips[:] = [x for x in artifacts if isinstance(x, Video)]

    measured = time_in_turn(
        rounds, generating_s=generate, encoding_s=lambda: encode(clips[0], "mp4", FACTS)
    )
    claim = f"encoding a clip by {name}, against generating it"
    report_ratio(claim, measured, "encoding_s", "generating_s", "0.05 or less")


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_options(ArgumentParser(description=__doc__), argv, rounds=3)
    for name in (GAN, DIFFUSION):
        if not (CHECKPOINTS / f"{name}.safetensors").exists():
            skip("video", f"{name} is not there")
            return
    checkpoint = load(CHECKPOINTS / f"{GAN}.safetensors")
    for rows in (1,) if options.smoke else (1, 8):
        compare_generators(checkpoint, rows, options.rounds)
    measure_encoding(GAN, options.rounds)
    small = {"steps": 1, "frames": 2} if options.smoke else {"steps": 12}
    measure_encoding(DIFFUSION, min(1, options.rounds), **small)


if __name__ == "__main__":
    main()
