"""The tables of the page: which figures they show, and how."""

from pydantic import JsonValue

from models.checkpoint.header import Header
from training.evaluation.evaluator import Record
from training.evaluation.report.tables import BOUNDS, LATENTS, comparisons, side_by_side


def record_of(seeds: int, noise: float) -> Record:
    figure: JsonValue = {"mean": 0.5, "ci95": 0.1}
    floor: JsonValue = {"fed": {"mean": 9.0, "ci95": 0.2}, "precision": {"mean": noise, "ci95": 0}}
    about: Record = {
        "reference": "dots",
        "held_out": 9,
        "n": 5,
        "seeds": seeds,
        "features": "means",
    }
    figures: Record = dict.fromkeys(("fed", "precision", "recall"), figure)
    return about | figures | {"params": {}, "real": {}, "noise": floor}


def test_a_table_shows_intervals_only_of_five_seeds() -> None:
    assert "| 0.500 ± 0.100 |" in comparisons([("one", record_of(5, 0.0))])
    assert "±" not in comparisons([("one", record_of(4, 0.0))])


def test_a_table_leaves_out_a_precision_that_noise_reaches() -> None:
    assert "| FED | precision | recall |" in comparisons([("one", record_of(3, 0.98))])
    assert "| FED |\n" in comparisons([("one", record_of(3, 1.0))])


def test_bounds_and_disentanglement_stand_side_by_side() -> None:
    known = {"test_elbo_nats": -9.5, "mig": 0.4, "perfect_encoder_mig": 0.98}
    cards = {
        "one": Header(family="vae", net={}, quality=known),
        "two": Header(family="vae", net={}, quality={"test_elbo_nats": -8.25}),
        "three": Header(family="gan", net={}),
    }
    bounds = side_by_side(cards, BOUNDS, "Bounds").splitlines()
    assert bounds[2] == "| checkpoint | ELBO, nats |"
    assert bounds[4:] == ["| [one](#one) | -9.5 |", "| [two](#two) | -8.25 |"]
    latents = side_by_side(cards, LATENTS, "Latents").splitlines()
    assert latents[2:] == [
        "| checkpoint | MIG | MIG, perfect encoder |",
        "| --- | --- | --- |",
        "| [one](#one) | 0.4 | 0.98 |",
    ]
    assert side_by_side({"three": cards["three"]}, BOUNDS, "Bounds") == ""
