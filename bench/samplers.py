"""How many steps a sampler needs: FED against steps, for every sampler, as a table and a plot.

All samplers start at the same noise and generate the same classes, without guidance, so that only
the path from noise to picture differs. The plot counts evaluations of the net, since heun has two
a step. DDPM at its full 1000 steps is the target; the plot shows it as a line. The last ratio
compares the best sampler at 20 steps with that target, at as many pictures.
"""

import json
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from matplotlib.figure import Figure
from rich.progress import track
from torch import Tensor

from bench.harness import CHECKPOINTS, CPU, ROOT, parse_options, report, skip
from models.checkpoint.weights import load
from models.diffusion.pixel_diffusion import Diffusion
from models.diffusion.samplers import evaluations
from models.engine.batching import Placement
from models.params.diffusion import DiffusionParams
from training.data.images.fashion import load_fashion
from training.generate import generate_pixels
from training.metrics.image.features import EfficientNetLite0
from training.metrics.image.frechet import frechet_distance, gaussian_of

CHECKPOINT = CHECKPOINTS / "ddpm-fashion.safetensors"
SAMPLERS = ("ddim", "euler", "dpmpp_2m", "heun")
STEPS = (5, 10, 20, 50)


class Judge:
    """Fréchet distance on EfficientNet features to real pictures, with the border cut off."""

    def __init__(self, real: Tensor) -> None:
        self.features = EfficientNetLite0()
        self.real = gaussian_of(self.features(real).features)
        self.side = real.shape[-1]

    def fed(self, pictures: Tensor) -> float:
        border = (pictures.shape[-1] - self.side) // 2
        inside = pictures[:, :, border : border + self.side, border : border + self.side]
        return frechet_distance(gaussian_of(self.features(inside).features), self.real)


def generate(model: Any, sampler: str, steps: int, count: int) -> Tensor:
    """Pictures of every class in turn, uint8 (count, 1, 32, 32)."""
    params = [
        DiffusionParams(
            sampler=sampler,  # type: ignore[arg-type]
            steps=steps,
            class_label=model.labels[i % len(model.labels)],
            guidance_scale=1.0,
        )
        for i in range(count)
    ]
    return generate_pixels(model, params, 0, CPU)


def measure(
    model: Any, judge: Judge, wanted: Sequence[tuple[str, int, int]], cache: Path
) -> dict[tuple[str, int, int], float]:
    """FED by sampler, steps and pictures. The cache keeps what earlier runs measured."""
    for sampler, steps, pictures in track(wanted, "sampling"):
        key = f"{sampler} {steps} {pictures}"
        if key not in read_cache(cache):
            fed = judge.fed(generate(model, sampler, steps, pictures))
            cache.parent.mkdir(parents=True, exist_ok=True)
            cache.write_text(json.dumps(read_cache(cache) | {key: fed}))  # other runs may write
            print(f"{key}: FED {fed:.2f}", flush=True)
    return {
        (sampler, int(steps), int(pictures)): fed
        for key, fed in read_cache(cache).items()
        for sampler, steps, pictures in [key.split()]
    }


def read_cache(cache: Path) -> dict[str, float]:
    """FED by `sampler steps pictures`."""
    measured: dict[str, float] = json.loads(cache.read_text()) if cache.exists() else {}
    return measured


def plot(measured: dict[tuple[str, int, int], float], few: int, path: Path) -> None:
    """Plots FED against evaluations of the net, one line a sampler."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for sampler in SAMPLERS:
        points = sorted(
            (evaluations(sampler, n), fed)
            for (s, n, count), fed in measured.items()
            if s == sampler and count != few
        )
        axes.plot(*zip(*points, strict=True), marker="o", label=sampler)
    for (s, n, count), fed in measured.items():
        if count == few:  # with fewer pictures FED is larger: compare these two with each other
            colour = "grey" if s == "ddpm" else "C2"
            axes.axhline(fed, ls="--", c=colour, label=f"{s}, {n} steps, {count} pictures only")
    axes.set(xscale="log", yscale="log", xlabel="evaluations of the net a picture", ylabel="FED")
    axes.set_title("ddpm-fashion: FED against the work of a sampler, without guidance")
    axes.legend()
    axes.grid(alpha=0.3, which="both")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def main(argv: Sequence[str] | None = None) -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="pictures of each sampler")
    parser.add_argument("--few", type=int, default=250, help="pictures of DDPM at 1000 steps")
    parser.add_argument("--plot", type=Path, default=ROOT / "docs/samplers.png")
    parser.add_argument("--cache", type=Path, default=ROOT / "runs/samplers.json")
    options = parse_options(parser, argv)
    if not CHECKPOINT.exists():
        skip("samplers", "its checkpoint is not there")
        return
    if options.smoke:
        smoke()
        return
    count, few = options.count, options.few
    wanted = [(sampler, n, count) for sampler in SAMPLERS for n in STEPS]
    wanted += [("ddpm", 1000, few), ("ddpm", 50, count), ("dpmpp_2m", 20, few)]
    model = Diffusion(load(CHECKPOINT), Placement(CPU, torch.bfloat16))
    fed = measure(model, Judge(load_fashion().test[0]), wanted, options.cache)
    plot(fed, few, options.plot)
    for sampler in SAMPLERS:
        figures = {f"fed_at_{n}": fed[sampler, n, count] for n in STEPS}
        report(
            f"FED of {sampler} at 20 steps against 50",
            figures["fed_at_20"] / figures["fed_at_50"],
            "none stated",
            **figures,
        )
    report(
        "FED of dpmpp_2m at 20 steps against DDPM at 1000, as many pictures",
        fed["dpmpp_2m", 20, few] / fed["ddpm", 1000, few],
        "none stated",
        dpmpp_2m_20=fed["dpmpp_2m", 20, few],
        ddpm_1000=fed["ddpm", 1000, few],
        pictures=few,
    )


def smoke() -> None:
    """Judges two pictures of each sampler against noise, and plots them."""
    wanted = [(sampler, 2, 2) for sampler in SAMPLERS] + [("ddpm", 2, 3)]
    noise = torch.randint(0, 256, (4, 1, 28, 28), dtype=torch.uint8)
    model = Diffusion(load(CHECKPOINT), Placement(CPU))
    with TemporaryDirectory() as folder:
        fed = measure(model, Judge(noise), wanted, Path(folder) / "cache.json")
        plot(fed, 3, Path(folder) / "plot.png")
    report("FED of ddim against ddpm", fed["ddim", 2, 2] / fed["ddpm", 2, 3], "none stated")


if __name__ == "__main__":
    main()
