"""Brightness, precision and recall of a GAN's results under truncation, beside those without it."""

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from bench.harness import parse_options
from models.checkpoint.header import SUFFIX
from models.checkpoint.weights import load
from training.evaluation.image import image_requests
from training.evaluation.reference import reference_of
from training.generate import generate_pixels, load_model
from training.metrics.image.features import EfficientNetLite0, remembered
from training.metrics.image.precision_recall import precision_recall

CPU = torch.device("cpu")
MODELS = ["gan-fashion", "cgan-fashion", "wgan-fashion", "wgan-gp-fashion", "dcgan-emoji"]
CHECKPOINTS = Path(__file__).parents[1] / "checkpoints"


def measure(model: str, bounds: list[float], count: int) -> None:
    """Prints a line for each bound, and one without truncation. Clips count by their frames."""
    checkpoint = load(CHECKPOINTS / f"{model}{SUFFIX}")
    header, family = checkpoint.header, load_model(checkpoint, CPU)
    net, features = header.net, EfficientNetLite0()
    reference = reference_of(header, None, (int(str(net["size"])), int(str(net["channels"]))))
    real = remembered(features, reference.data.test[0][:count]).features
    plain = 0.0
    for bound in (None, *bounds):
        params = {} if bound is None else {"truncation": bound}
        requests = image_requests(header, params, count, reference.data).params
        pictures = as_pictures(generate_pixels(family, requests, 0, CPU))
        bright = pictures.double().mean().item() / 255
        plain = plain or bright
        precision, recall = precision_recall(real, features(pictures).features[: len(real)])
        print(
            f"{model}, truncation {bound}: brightness {bright:.4f} ({bright / plain - 1:+.1%}), "
            f"precision {precision:.3f}, recall {recall:.3f}"
        )


def as_pictures(pixels: Tensor) -> Tensor:
    """Pictures (N, C, H, W); of clips (N, F, C, H, W) the middle frame."""
    return pixels if pixels.dim() == 4 else pixels[:, pixels.shape[1] // 2]


def main(argv: Sequence[str] | None = None) -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="*", default=MODELS)
    parser.add_argument("--bounds", type=float, nargs="+", default=[1.0, 0.5, 0.2])
    parser.add_argument("--count", type=int, default=1000)
    options = parse_options(parser, argv)
    if options.smoke:
        options.model, options.bounds, options.count = MODELS[:1], [0.5], 8
    for model in options.model:
        measure(model, options.bounds, options.count)


if __name__ == "__main__":
    main()
