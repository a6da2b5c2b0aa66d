"""The plot of the guidance scale: which evaluations it takes, and what it shows."""

from pathlib import Path
from typing import Any

from PIL import Image

from models.checkpoint.header import Header
from training.evaluation.report.sweeps import Point, draw, sweep_of


def record(fed: float, right: float, **params: Any) -> dict[str, Any]:
    about = {"params": params, "reference": "emoji", "n": 10, "seeds": 2, "features": "x"}
    figures = {"fed": {"mean": fed, "ci95": 1.0}, "caption_at_5": {"mean": right, "ci95": 0.01}}
    return {**about, **figures}


def card(*records: dict[str, Any]) -> Header:
    facts = {"family": "latent_diffusion", "net": {}, "process": {"guidance": 3.0}}
    return Header.model_validate({**facts, "quality": {"evaluated": list(records)}})


def test_evaluations_that_differ_in_the_scale_alone_are_points_of_one_plot() -> None:
    sweep = sweep_of(
        card(
            record(90, 0.7, guidance_scale=5),
            record(80, 0.6),  # the checkpoint's own scale
            record(70, 0.2, guidance_scale=1.0),
            record(60, 0.9, guidance_scale=2.0, steps=50),
        )
    )
    assert sweep is not None
    assert sweep.alignment == "caption_at_5"
    assert sweep.points == (
        Point(1.0, (70.0, 1.0), (0.2, 0.01)),
        Point(3.0, (80.0, 1.0), (0.6, 0.01)),
        Point(5.0, (90.0, 1.0), (0.7, 0.01)),
    )


def test_two_points_are_no_plot() -> None:
    assert sweep_of(card(record(80, 0.6), record(70, 0.2, guidance_scale=1.0))) is None
    assert sweep_of(card()) is None


def test_a_scale_that_was_measured_twice_is_one_point() -> None:
    own = record(80, 0.6, guidance_scale=None)
    assert sweep_of(card(own, record(81, 0.6, guidance_scale=3.0), record(70, 0.2))) is None


def test_a_plot_is_a_picture_with_both_curves(tmp_path: Path) -> None:
    sweep = sweep_of(card(*(record(80 + s, s / 10, guidance_scale=s) for s in (1, 2, 4))))
    assert sweep is not None
    draw(sweep, tmp_path / "x.png")
    with Image.open(tmp_path / "x.png") as drawn:
        seen = {tuple(c) for _, c in drawn.convert("RGB").getcolors(100_000) or ()}  # type: ignore[arg-type]
    blue = any(b > r + 80 for r, _, b in seen)
    red = any(r > b + 80 for r, _, b in seen)
    assert (blue, red) == (True, True)
