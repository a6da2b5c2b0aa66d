"""How many steps a sampler needs: FED against steps, for every sampler, as a table and a plot.

All samplers begin at the same noise and ask for the same kinds, without guidance, so that only
the way from noise to picture differs. Against steps and against evaluations of the net, since
heun asks twice a step. DDPM at its full 1000 steps is the mark to reach; it is drawn as a line.
Also prints the ratio of the best sampler at 20 steps to that mark, at as many pictures.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from rich.progress import track
from torch import Tensor

from bench.bed import report, skip
from models.checkpoint.weights import load
from models.diffusion.pixel_diffusion import Diffusion
from models.diffusion.samplers import evaluations
from models.engine.batching import Placement
from models.params.diffusion import DiffusionParams
from training.data.images.fashion import load_fashion
from training.generate import pictures_of
from training.metrics.features import EfficientNetLite0
from training.metrics.frechet import frechet_distance, gaussian_of

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[1]
CHECKPOINT = ROOT / "checkpoints/ddpm-fashion.safetensors"
SAMPLERS = ("ddim", "euler", "dpmpp_2m", "heun")
STEPS = (5, 10, 20, 50)


class Judge:
    """Fréchet distance on EfficientNet features to held-out pictures, with the border cut off."""

    def __init__(self) -> None:
        self.see = EfficientNetLite0()
        held_out = load_fashion().test[0]
        self.real = gaussian_of(self.see(held_out).features)
        self.side = held_out.shape[-1]

    def fed(self, pictures: Tensor) -> float:
        border = (pictures.shape[-1] - self.side) // 2
        inside = pictures[:, :, border : border + self.side, border : border + self.side]
        return frechet_distance(gaussian_of(self.see(inside).features), self.real)


def made(model: Diffusion, sampler: str, steps: int, count: int) -> Tensor:
    """Pictures of every kind in turn, uint8 (count, 1, 32, 32)."""
    params = [
        DiffusionParams(
            sampler=sampler,  # type: ignore[arg-type]
            steps=steps,
            class_label=model.labels[i % len(model.labels)],
            guidance_scale=1.0,
        )
        for i in range(count)
    ]
    return pictures_of(model, params, 0, CPU)


def measured(model: Diffusion, judge: Judge, count: int, few: int, kept: Path) -> list[Any]:
    """(sampler, steps, pictures, FED) of each; what was measured before is not made again."""
    wanted = [(s, n, count) for s in SAMPLERS for n in STEPS]
    wanted += [("ddpm", 1000, few), ("ddpm", 50, count), ("dpmpp_2m", 20, few)]
    for sampler, steps, pictures in track(wanted, "sampling"):
        key = f"{sampler} {steps} {pictures}"
        if key not in read(kept):
            fed = judge.fed(made(model, sampler, steps, pictures))
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(read(kept) | {key: fed}))  # others may measure as well
            print(f"{key}: FED {fed:.2f}", flush=True)
    return [(*key.split(), fed) for key, fed in read(kept).items()]


def read(kept: Path) -> dict[str, float]:
    """FED by sampler, steps and pictures."""
    return json.loads(kept.read_text()) if kept.exists() else {}


def plot(rows: list[Any], few: int, path: Path) -> None:
    """FED against evaluations of the net, one line a sampler."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for sampler in SAMPLERS:
        points = sorted(
            (evaluations(sampler, int(n)), fed)
            for s, n, count, fed in rows
            if s == sampler and int(count) != few
        )
        axes.plot(*zip(*points, strict=True), marker="o", label=sampler)
    for s, n, count, fed in rows:
        if int(count) == few:  # fewer pictures are further off: these lie beside each other alone
            colour = "grey" if s == "ddpm" else "C2"
            axes.axhline(fed, ls="--", c=colour, label=f"{s}, {n} steps, {count} pictures only")
    axes.set(xscale="log", yscale="log", xlabel="evaluations of the net a picture", ylabel="FED")
    axes.set_title("ddpm-fashion: FED against the work of a sampler, without guidance")
    axes.legend()
    axes.grid(alpha=0.3, which="both")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="pictures of each sampler")
    parser.add_argument("--few", type=int, default=250, help="pictures of DDPM at 1000 steps")
    parser.add_argument("--plot", type=Path, default=ROOT / "docs/samplers.png")
    parser.add_argument("--kept", type=Path, default=ROOT / "runs/samplers.json")
    asked = parser.parse_args()
    if not CHECKPOINT.exists():
        skip("samplers", "its checkpoint is not there")
        return
    model = Diffusion(load(CHECKPOINT), Placement(CPU, torch.bfloat16))
    rows = measured(model, Judge(), asked.count, asked.few, asked.kept)
    plot(rows, asked.few, asked.plot)
    fed = {(s, int(n), int(count)): f for s, n, count, f in rows}
    for sampler in SAMPLERS:
        at = {f"fed_at_{n}": fed[sampler, n, asked.count] for n in STEPS}
        report(
            f"FED of {sampler} at 20 steps against 50",
            at["fed_at_20"] / at["fed_at_50"],
            "none stated",
            **at,
        )
    mark = fed["ddpm", 1000, asked.few]
    quick = fed["dpmpp_2m", 20, asked.few]
    report(
        "FED of dpmpp_2m at 20 steps against DDPM at 1000, as many pictures",
        quick / mark,
        "none stated",
        dpmpp_2m_20=quick,
        ddpm_1000=mark,
        pictures=asked.few,
    )


if __name__ == "__main__":
    main()
