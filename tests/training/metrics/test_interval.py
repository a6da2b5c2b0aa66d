import numpy as np
import pytest
import scipy.stats

from training.metrics.interval import MOST, QUANTILES, interval


def test_the_quantiles_are_students() -> None:
    expected = scipy.stats.t.ppf(0.975, np.arange(1, MOST))
    assert np.allclose(QUANTILES, expected, atol=5e-4)


@pytest.mark.parametrize("count", [2, 3, MOST])
def test_the_interval_is_scipys(count: int) -> None:
    values = np.random.default_rng(count).normal(5, 2, count)
    measured = interval(values.tolist())
    low, high = scipy.stats.t.interval(0.95, count - 1, values.mean(), scipy.stats.sem(values))
    assert measured.mean == pytest.approx(values.mean())
    assert measured.half == pytest.approx((high - low) / 2, rel=1e-3)


def test_it_holds_the_true_mean_nineteen_times_in_twenty() -> None:
    draws = np.random.default_rng(0).normal(3, 1, (2_000, 4))
    covered = [abs(one.mean - 3) <= one.half for one in map(interval, draws.tolist())]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)


def test_one_measurement_has_no_interval() -> None:
    assert interval([2.0]).card() == {"mean": 2.0, "ci95": None}
