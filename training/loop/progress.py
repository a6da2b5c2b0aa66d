"""What a training shows: a bar or lines of its progress, sheets of samples, a plot of the loss."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from torch import Tensor

from training.loop.log_lines import now_and_then

Line = tuple[int, dict[str, float]]
"""A step and its losses."""

SPEED_SECONDS = 10.0  # that the speed is a mean of, at least
POINTS = 200  # of a curve


class Show(Protocol):
    """Takes the number of every step, from 1, and the loss."""

    def __call__(self, step: int, loss: float) -> None: ...


@contextmanager
def showing(name: str, begun: int, steps: int, batch: int) -> Iterator[Show]:
    """On standard error: a bar in a terminal, else a line now and then, for a log."""
    console = Console(stderr=True)
    speed = Speed(begun, batch)
    if not console.is_terminal:
        yield lines(name, steps, speed)
        return
    with _bar(console) as progress:
        task = progress.add_task(name, total=steps, completed=begun, loss=math.nan, speed=0)

        def show(step: int, loss: float) -> None:
            progress.update(task, completed=step, loss=loss, speed=speed.at(step))

        yield show


def lines(name: str, steps: int, speed: "Speed") -> Show:
    """A line for the first step, every half minute, and the last step."""
    tell = now_and_then()

    def show(step: int, loss: float) -> None:
        fast = speed.at(step)
        left = timedelta(seconds=round((steps - step) * speed.batch / fast)) if fast else "?"
        done = f"step {step} of {steps}, loss {loss:.4g}, {fast:.0f} images/s"
        tell(f"{name}: {done}, {left} to go", step >= steps)

    return show


class Speed:
    """Pictures a second, as a mean over the last ten seconds or so."""

    def __init__(self, step: int, batch: int) -> None:
        self.batch = batch
        self._step, self._since, self._speed = step, time.monotonic(), 0.0

    def at(self, step: int) -> float:
        passed = time.monotonic() - self._since
        if passed >= SPEED_SECONDS or not self._speed:
            self._speed = (step - self._step) * self.batch / max(passed, 1e-9)
        if passed >= SPEED_SECONDS:
            self._step, self._since = step, time.monotonic()
        return self._speed


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.4g}"),
        TextColumn("{task.fields[speed]:.0f} images/s"),
        TimeRemainingColumn(),
        console=console,
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


def write_plot(lines: list[Line], path: Path) -> None:
    """A PNG of each loss against the step, smoothed by averaging into at most 200 points.

    The axis is logarithmic where all losses are above 0 and differ a hundredfold.
    """
    figure = Figure(figsize=(8, 4), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name in lines[0][1] if lines else []:
        points = _smooth([(step, losses[name]) for step, losses in lines])
        axes.plot([x for x, _ in points], [y for _, y in points], label=name)
    values = [value for line in axes.lines for value in np.asarray(line.get_ydata()).tolist()]
    if values and min(values) > 0 and max(values) >= 100 * min(values):
        axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.grid(alpha=0.3)
    if lines:
        axes.legend()
    figure.savefig(path, format="png")


def _smooth(points: list[tuple[int, float]]) -> list[tuple[float, float]]:
    size = -(-len(points) // POINTS)
    groups = [points[i : i + size] for i in range(0, len(points), size)]
    return [(sum(x for x, _ in g) / len(g), sum(y for _, y in g) / len(g)) for g in groups]
