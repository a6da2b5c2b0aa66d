"""What a training shows: a bar in the terminal, sheets of samples, a plot of the loss."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from torch import Tensor

Line = tuple[int, dict[str, float]]
"""A step and its losses."""


def bar() -> Progress:
    """A bar that carries the loss and the speed."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"),
        TextColumn("{task.fields[speed]:.0f} images/s"),
        TimeRemainingColumn(),
    )


def sheet(pictures: Tensor, columns: int = 16) -> Image.Image:
    """(N, C, H, W) in [0, 1], C 1 or 3, side by side with a white line between."""
    x = pictures.clamp(0, 1).mul(255).round().byte().expand(-1, 3, -1, -1)
    n, _, height, width = x.shape
    rows = -(-n // columns)
    page = np.full((rows * (height + 2), columns * (width + 2), 3), 255, np.uint8)
    for i, picture in enumerate(x.permute(0, 2, 3, 1).cpu().numpy()):
        top, left = i // columns * (height + 2) + 1, i % columns * (width + 2) + 1
        page[top : top + height, left : left + width] = picture
    return Image.fromarray(page)


def write_plot(lines: list[Line], path: Path, width: int = 800, height: int = 400) -> None:
    """Each loss against the step, smoothed by averaging into at most 200 points."""
    page = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(page)
    names = list(lines[0][1]) if lines else []
    curves = {name: _smooth([(step, loss[name]) for step, loss in lines]) for name in names}
    values = [y for curve in curves.values() for _, y in curve]
    low, high = min(values, default=0.0), max(values, default=1.0)
    last = max(lines[-1][0], 1) if lines else 1
    for i, (name, curve) in enumerate(curves.items()):
        colour = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")[i % 5]
        points = [
            (
                50 + x / last * (width - 70),
                height - 30 - (y - low) / (high - low + 1e-9) * (height - 60),
            )
            for x, y in curve
        ]
        draw.line(points, fill=colour, width=2)
        draw.text((60 + 130 * i, 8), name, fill=colour)
    draw.text((4, 24), f"{high:.3g}", fill="black")
    draw.text((4, height - 40), f"{low:.3g}", fill="black")
    draw.text((width - 90, height - 20), f"step {last}", fill="black")
    page.save(path)


def _smooth(points: list[tuple[int, float]]) -> list[tuple[float, float]]:
    size = -(-len(points) // 200)
    groups = [points[i : i + size] for i in range(0, len(points), size)]
    return [(sum(x for x, _ in g) / len(g), sum(y for _, y in g) / len(g)) for g in groups]
