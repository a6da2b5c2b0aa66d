"""Eight prompts at once against a pipeline of diffusers, and CLIP guidance against the textbook's.

1. `StableDiffusionPipeline` over a folder of random weights, as many as t2i-emoji has, runs one
   request at a time; the same folder, imported here, runs all at once. Steps and seeds differ;
   both sides make pictures of the same prompts, up to the encoded PNG.
2. The textbook guides one request at a time. Its gradient goes through the whole U-Net, and it
   encodes the prompt again in each step. Ours guides several requests at once, by the gradient of
   the predicted picture, and encodes the prompt once; in every step and in every second step.
   Both sides take as many cutouts.
"""

import io
import logging
import tempfile
from argparse import ArgumentParser
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.harness import (
    CHECKPOINTS,
    CPU,
    parse_options,
    report_ratio,
    run_flows,
    skip,
    time_in_turn,
)
from models.checkpoint.weights import load
from models.clip.clip import cutouts
from models.convert.importers import import_weights
from models.diffusion.clip_guidance import CUTOUTS
from models.diffusion.latent_diffusion import LatentDiffusion
from models.diffusion.timesteps import timesteps
from models.engine.batching import Placement
from models.engine.determinism import check_determinism
from models.engine.engine import Engine
from models.engine.flow import Family
from models.engine.noise import seeded
from models.families import FAMILIES
from models.nets.clip import tell
from models.nets.unet import TextCondition
from models.params.base import Params
from models.params.diffusion import TextToImageParams
from tests.models import stable
from workers.encoders.encode import encode
from workers.encoders.types import Facts

CHECKPOINT = CHECKPOINTS / "t2i-emoji.safetensors"
STEPS = (8, 10, 12, 14, 9, 11, 13, 15)
PROMPTS = ("a red apple", "a dog", "a cat", "a rocket", "a house", "a tree", "a fish", "the sun")
SIDE = 64  # pixels of the pipeline's pictures
GUIDED_STEPS = 8


def generate(model: Family[Any], requests: Sequence[Params]) -> None:
    """Generates all requests at once, to files."""
    facts = Facts("model", "", {}, 0)
    flows = ((seed, model.generate(x, seeded(seed))) for seed, x in enumerate(requests))
    for finished in run_flows(Engine(CPU), flows):
        encode(finished.artifacts[0], "png", facts)


def build_pipeline() -> Any:
    """A pipeline of diffusers with random weights, as many as t2i-emoji has."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    pipeline = stable.tiny_pipeline()
    pipeline.tokenizer.model_max_length = 64
    text: dict[str, Any] = stable.TEXT_ENCODER | {
        "hidden_size": 256,
        "intermediate_size": 1024,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "max_position_embeddings": 64,
    }
    unet: Any = UNet2DConditionModel(
        sample_size=SIDE // 8,
        block_out_channels=(96, 160, 160),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=256,
        attention_head_dim=8,
        norm_num_groups=8,
    )
    sizes: dict[str, Any] = stable.VAE | {"block_out_channels": (32, 32, 64, 64)}
    vae: Any = AutoencoderKL(**sizes)
    pipeline.register_modules(
        text_encoder=CLIPTextModel(CLIPTextConfig(**text)).eval(),
        unet=unet.eval(),
        vae=vae.eval(),
    )
    return pipeline


def generate_by_pipeline(pipeline: Any, requests: Sequence[TextToImageParams]) -> None:
    for seed, params in enumerate(requests):
        rng = torch.Generator().manual_seed(seed)
        picture = pipeline(
            params.prompt,
            num_inference_steps=params.steps,
            generator=rng,
            height=SIDE,
            width=SIDE,
        ).images[0]
        picture.save(io.BytesIO(), "PNG", compress_level=1)


def throughput(pipeline: Any, rounds: int, count: int, **params: Any) -> None:
    pipeline.set_progress_bar_config(disable=True)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        pipeline.save_pretrained(Path(folder) / "sd")
        path = import_weights("diffusers", Path(folder) / "sd", None, Path(folder), "sd", {})
        checkpoint = load(path)
        entry = FAMILIES[checkpoint.header.family]
        model = entry.load(checkpoint, Placement(CPU))
    determinism = check_determinism(model.batched, CPU).determinism
    shared = {"sampler": "ddim", "width": SIDE, "height": SIDE, **params}
    requests: list[Any] = [
        entry.params.model_validate({"prompt": prompt, "steps": steps, **shared})
        for prompt, steps in list(zip(PROMPTS, STEPS, strict=True))[:count]
    ]
    measured = time_in_turn(
        rounds,
        ours_s=partial(generate, model, requests),
        peer_s=partial(generate_by_pipeline, pipeline, requests),
    )
    report_ratio(
        f"{count} concurrent prompts, StableDiffusionPipeline over the same weights one at a time",
        measured,
        "peer_s",
        "ours_s",
        unet_millions=sum(p.numel() for p in pipeline.unet.parameters()) / 1e6,
        determinism=determinism,
    )


def guide_by_textbook(model: LatentDiffusion, prompt: str, seed: int, steps: int) -> Tensor:
    """CLIP-guided DDIM as a textbook has it, with its faults fixed: tensors throughout, the sign
    that raises the similarity, and sqrt(1 - alpha_bar)."""
    clip, rng = model.clip, seeded(seed)
    path = timesteps(model.schedule.alpha_bar, steps, model.schedule.spacing)
    z = torch.randn(1, *model.shape, generator=rng)
    style = torch.tensor([model.unet.classes])
    tokens = clip.tokens(clip.tokenizer.read_text(prompt, clip.context).rows)[None]
    for i, t in enumerate(path.t.tolist()):
        text = tell(clip.net, tokens)
        cond = TextCondition(text.states, torch.zeros(text.states.shape[:2]), text.pooled)
        with torch.enable_grad():
            x = z.detach().requires_grad_()
            prediction = model.unet(x, torch.tensor([t]).float(), style, cond)
            denoised = model.schedule.denoised(x, prediction, path.signal[i], path.noise[i])
            picture = model.autoencoder.decode(denoised.x0)
            similarity = clip.similarity(picture, text.pooled, cutouts(rng, CUTOUTS)[None]).sum()
            (gradient,) = torch.autograd.grad(similarity, x)
        eps = denoised.eps.detach() - 20 * path.noise[i] * gradient
        x0 = (z - path.noise[i] * eps) / path.signal[i]
        z = path.after[i] ** 0.5 * x0 + (1 - path.after[i]) ** 0.5 * eps
    return model.autoencoder.decode(z)


def clip_guidance(rounds: int, count: int, steps: int) -> None:
    model = LatentDiffusion(load(CHECKPOINT), Placement(CPU))
    if rounds:
        check_determinism(model.batched, CPU)

    @torch.no_grad()
    def by_textbook() -> None:
        for seed, prompt in enumerate(PROMPTS[:count]):
            guide_by_textbook(model, prompt, seed, steps)

    for every, target in ((1, "1.5 or more"), (2, "2.5 or more")):
        requests = [
            TextToImageParams(
                prompt=prompt,
                steps=steps,
                sampler="ddim",
                guidance_scale=1.0,
                clip_guidance_scale=20.0,
                clip_guidance_every=every,
            )
            for prompt in PROMPTS[:count]
        ]
        measured = time_in_turn(
            rounds, ours_s=partial(generate, model, requests), peer_s=by_textbook
        )
        claim = (
            f"{count} requests of {steps} steps guided by CLIP every {every} steps, the textbook"
        )
        report_ratio(f"{claim}'s one at a time", measured, "peer_s", "ours_s", target)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_options(ArgumentParser(description=__doc__), argv, rounds=3)
    logging.getLogger("diffusers").setLevel(logging.ERROR)
    if options.smoke:
        throughput(stable.tiny_pipeline(), 0, 1, steps=2)
    else:
        throughput(build_pipeline(), options.rounds, len(PROMPTS))
    if not CHECKPOINT.exists():
        skip("text_to_image", "its checkpoint is not there")
        return
    count, steps = (1, 2) if options.smoke else (len(PROMPTS), GUIDED_STEPS)
    clip_guidance(options.rounds, count, steps)


if __name__ == "__main__":
    main()
