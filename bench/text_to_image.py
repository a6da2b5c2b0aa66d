"""Eight prompts at once against a pipeline of diffusers, and CLIP's lead against the textbook's.

1. `StableDiffusionPipeline` over a folder of random weights, with as many as t2i-emoji has, one
   request at a time, against the same folder imported here, all at once. Steps and seeds differ;
   both sides make the same pictures from the same words, up to the encoded PNG.
2. A step that CLIP leads, as the textbook has it once it is mended (one request at a time; the
   gradient goes through the whole U-Net; the words are read again in each step) against ours
   (several requests at once; the gradient of the predicted picture; the words are read once), in
   every step and in every second. As many cutouts on both sides.
"""

import argparse
import io
import logging
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.bed import checked, report, skip
from models.checkpoint.weights import load
from models.clip.clip import cutouts
from models.convert.importers import import_weights
from models.diffusion.clip_guidance import CUTOUTS
from models.diffusion.latent_diffusion import LatentDiffusion
from models.diffusion.timesteps import timesteps
from models.engine.batching import Placement
from models.engine.determinism import check_determinism
from models.engine.engine import Engine, Finished
from models.engine.flow import Family
from models.engine.noise import seeded
from models.families import FAMILIES
from models.nets.clip import tell
from models.nets.unet import TextCondition
from models.params.base import Params
from models.params.diffusion import TextToImageParams
from workers.encoders.encode import encode
from workers.encoders.types import Facts

CPU = torch.device("cpu")
CHECKPOINT = Path(__file__).parents[1] / "checkpoints/t2i-emoji.safetensors"
STEPS = (8, 10, 12, 14, 9, 11, 13, 15)
PROMPTS = ("a red apple", "a dog", "a cat", "a rocket", "a house", "a tree", "a fish", "the sun")
SIDE = 64  # pixels of the pipeline's pictures
LED_STEPS = 8


def seconds_of(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def through_the_engine(model: Family[Any], asked: list[Params]) -> None:
    """All requests at once, to files."""
    facts, engine = Facts("model", "", {}, 0), Engine(CPU)
    for seed, params in enumerate(asked):
        checked(engine.add(seed, model.generate(params, seeded(seed))))
    while len(engine):
        for event in checked(engine.tick()):
            if isinstance(event, Finished):
                encode(event.artifacts[0], "png", facts)


def pipeline(folder: Path) -> Any:
    """diffusers' own, of random weights, saved to a folder as well."""
    from diffusers import (
        AutoencoderKL,
        DDIMScheduler,
        StableDiffusionPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    torch.manual_seed(0)
    marks = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>"}
    letters = "abcdefghijklmnopqrstuvwxyz"
    units = [*letters, *(f"{letter}</w>" for letter in letters), *marks.values()]
    vocab = {unit: number for number, unit in enumerate(units)}
    tokenizer = CLIPTokenizer(
        vocab=vocab,
        merges=[],
        model_max_length=64,
        unk_token=units[-1],
        pad_token=units[-1],
        **marks,
    )
    text = CLIPTextConfig(
        vocab_size=len(vocab),
        hidden_size=256,
        intermediate_size=1024,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=64,
        bos_token_id=len(units) - 2,
        eos_token_id=len(units) - 1,
    )
    unet = UNet2DConditionModel(
        sample_size=SIDE // 8,
        block_out_channels=(96, 160, 160),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=256,
        attention_head_dim=8,
        norm_num_groups=8,
    )
    vae = AutoencoderKL(
        sample_size=SIDE,
        block_out_channels=(32, 32, 64, 64),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=8,
    )
    made: Any = StableDiffusionPipeline(
        vae=vae,
        text_encoder=CLIPTextModel(text).eval(),
        tokenizer=tokenizer,
        unet=unet,
        scheduler=DDIMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    made.set_progress_bar_config(disable=True)
    made.save_pretrained(folder)
    return made


def one_at_a_time(peer: Any) -> None:
    for seed, (prompt, steps) in enumerate(zip(PROMPTS, STEPS, strict=True)):
        rng = torch.Generator().manual_seed(seed)
        picture = peer(
            prompt, num_inference_steps=steps, generator=rng, height=SIDE, width=SIDE
        ).images[0]
        picture.save(io.BytesIO(), "PNG", compress_level=1)


def throughput(rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        peer = pipeline(Path(folder) / "sd")
        path = import_weights("diffusers", Path(folder) / "sd", None, Path(folder), "sd", {})
        checkpoint = load(path)
        entry = FAMILIES[checkpoint.header.family]
        model = entry.load(checkpoint, Placement(CPU))
    proof = check_determinism(model.batched, CPU)
    asked = [
        entry.params.model_validate(
            {"prompt": p, "steps": n, "sampler": "ddim", "width": SIDE, "height": SIDE}
        )
        for p, n in zip(PROMPTS, STEPS, strict=True)
    ]
    pairs = [
        (
            seconds_of(lambda: through_the_engine(model, asked)),
            seconds_of(lambda: one_at_a_time(peer)),
        )
        for _ in range(rounds + 1)
    ][1:]
    report(
        "8 concurrent prompts, StableDiffusionPipeline over the same weights one at a time",
        statistics.median(b / a for a, b in pairs),
        "none stated",
        ours_s=statistics.median(a for a, _ in pairs),
        peer_s=statistics.median(b for _, b in pairs),
        unet_millions=sum(p.numel() for p in peer.unet.parameters()) / 1e6,
        determinism=proof.determinism,
    )


def textbook(model: LatentDiffusion, prompt: str, seed: int) -> Tensor:
    """CLIP-guided DDIM as a textbook has it, with its faults mended: tensors all the way, the sign
    that raises the likeness, and sqrt(1 - alpha_bar)."""
    clip, rng = model.clip, seeded(seed)
    path = timesteps(model.process.alpha_bar, LED_STEPS, model.spacing)
    z = torch.randn(1, *model.shape, generator=rng)
    style = torch.tensor([model.unet.classes])
    tokens = clip.tokens(clip.tokenizer.read_text(prompt, clip.context).rows)[None]
    for i, t in enumerate(path.t.tolist()):
        told = tell(clip.net, tokens)
        words = TextCondition(told.states, torch.zeros(told.states.shape[:2]), told.pooled)
        with torch.enable_grad():
            held = z.detach().requires_grad_()
            said = model.unet(held, torch.tensor([t]).float(), style, words)
            found = model.process.denoised(held, said, path.signal[i], path.noise[i])
            picture = model.autoencoder.decode(found.x0)
            alike = clip.likeness(picture, told.pooled, cutouts(rng, CUTOUTS)[None]).sum()
            (gradient,) = torch.autograd.grad(alike, held)
        eps = found.eps.detach() - 20 * path.noise[i] * gradient
        x0 = (z - path.noise[i] * eps) / path.signal[i]
        z = path.after[i] ** 0.5 * x0 + (1 - path.after[i]) ** 0.5 * eps
    return model.autoencoder.decode(z)


def led(rounds: int) -> None:
    model = LatentDiffusion(load(CHECKPOINT), Placement(CPU))
    check_determinism(model.batched, CPU)

    def every(count: int) -> list[Params]:
        return [
            TextToImageParams(
                prompt=prompt,
                steps=LED_STEPS,
                sampler="ddim",
                guidance_scale=1.0,
                clip_guidance_scale=20.0,
                clip_guidance_every=count,
            )
            for prompt in PROMPTS
        ]

    def theirs() -> None:
        with torch.no_grad():
            for seed, prompt in enumerate(PROMPTS):
                textbook(model, prompt, seed)

    for count, reach in ((1, "1.5 or more"), (2, "2.5 or more")):
        ours = partial(through_the_engine, model, every(count))
        pairs = [(seconds_of(ours), seconds_of(theirs)) for _ in range(rounds + 1)][1:]
        report(
            f"8 requests led by CLIP every {count} steps, the textbook's way one at a time",
            statistics.median(b / a for a, b in pairs),
            reach,
            ours_ms_a_step=statistics.median(a for a, _ in pairs) * 1000 / 8 / LED_STEPS,
            peer_ms_a_step=statistics.median(b for _, b in pairs) * 1000 / 8 / LED_STEPS,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    logging.getLogger("diffusers").setLevel(logging.ERROR)
    throughput(rounds)
    if not CHECKPOINT.exists():
        skip("text_to_image", "its checkpoint is not there")
        return
    led(rounds)


if __name__ == "__main__":
    main()
