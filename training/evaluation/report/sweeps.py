"""How a checkpoint's figures change with the guidance scale, as a plot."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from pydantic import JsonValue

from models.checkpoint.header import Header
from training.evaluation.evaluator import Record
from training.evaluation.figure_file import records_of
from training.evaluation.report.tables import FIGURES, SAME

SCALE = "guidance_scale"
FEWEST = 3  # points of a plot
ALIGNMENT = ("caption_at_5", "caption_likeness", "class_accuracy")
"""What guidance should raise, the first that was measured."""


@dataclass(frozen=True, slots=True)
class Point:
    """One evaluation: mean and half of the 95 % interval of both figures."""

    scale: float
    fed: tuple[float, float]
    alignment: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Sweep:
    """Evaluations that differ in the guidance scale alone, the scale rising."""

    alignment: str  # the name of the figure
    points: tuple[Point, ...]


def sweep_of(card: Header) -> Sweep | None:
    """The one with the most points among a card's evaluations; None where none has three."""
    alike: dict[str, list[Record]] = {}
    for record in records_of(card):
        params = record["params"]
        others = {k: v for k, v in params.items() if k != SCALE} if isinstance(params, dict) else {}
        same = [sorted(others.items()), *(record.get(key) for key in SAME)]
        alike.setdefault(str(same), []).append(record)
    sweeps = [_sweep(group, card.process.get("guidance")) for group in alike.values()]
    return max(
        (s for s in sweeps if s and len(s.points) >= FEWEST),
        key=lambda s: len(s.points),
        default=None,
    )


def draw(sweep: Sweep, path: Path) -> None:
    """A PNG: FED on the left, which should be small, and the alignment on the right."""
    figure = Figure(figsize=(7, 3.6), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    left = figure.add_subplot()
    right = left.twinx()
    scales = [point.scale for point in sweep.points]
    for axes, colour, name, values in (
        (left, "tab:blue", FIGURES["fed"], [p.fed for p in sweep.points]),
        (right, "tab:red", FIGURES[sweep.alignment], [p.alignment for p in sweep.points]),
    ):
        means, halves = [mean for mean, _ in values], [half for _, half in values]
        axes.errorbar(scales, means, halves, color=colour, marker="o", capsize=3)
        axes.set_ylabel(name, color=colour)
        axes.tick_params(axis="y", labelcolor=colour)
    left.set_xlabel("guidance scale")
    left.grid(alpha=0.3)
    figure.savefig(path, format="png")
    with Image.open(path) as drawn:
        small = drawn.convert("RGB").quantize(64, dither=Image.Dither.NONE)
    small.save(path, optimize=True)


def _sweep(records: Sequence[Record], own: JsonValue) -> Sweep | None:
    """A point for each scale, the last one measured; `own` is the checkpoint's."""
    name = next((key for key in ALIGNMENT if all(key in r for r in records)), None)
    if name is None:
        return None
    points: dict[float, Point] = {}
    for record in records:
        params = record["params"]
        asked = params.get(SCALE) if isinstance(params, dict) else None
        scale = own if asked is None else asked
        if isinstance(scale, int | float):
            points[scale] = Point(
                float(scale), _mean_and_half(record["fed"]), _mean_and_half(record[name])
            )
    return Sweep(name, tuple(points[scale] for scale in sorted(points)))


def _mean_and_half(figure: JsonValue) -> tuple[float, float]:
    """Mean and half interval, of which one seed has none."""
    if not isinstance(figure, dict):
        raise TypeError(f"a figure is a mean and an interval, not {figure!r}")
    mean, half = figure["mean"], figure.get("ci95") or 0.0
    if not isinstance(mean, int | float) or not isinstance(half, int | float):
        raise TypeError("a mean and an interval are numbers")
    return float(mean), float(half)
