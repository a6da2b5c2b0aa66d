"""Linear probes are ridge regressions, by hand."""

import torch

from models.engine.noise import seeded
from training.directions.linear_probe import LinearProbe


def test_a_probe_is_the_least_squares_of_rows_and_penalties() -> None:
    """Ridge is least squares with a row for each penalty, and repeated rows for counts."""
    rng = seeded(0)
    x, y = torch.randn(40, 5, generator=rng), torch.randn(40, 2, generator=rng)
    counts = torch.randint(1, 4, (40,), generator=rng)
    probe = LinearProbe.fitted(x, y, counts.float(), ridge=2.0)
    rows = torch.cat([x, torch.ones(40, 1)], 1).repeat_interleave(counts, 0)
    penalties = torch.cat([2.0**0.5 * torch.eye(5), torch.zeros(5, 1)], 1)
    wanted = torch.cat([y.repeat_interleave(counts, 0), torch.zeros(5, 2)])
    solved = torch.linalg.lstsq(torch.cat([rows, penalties]), wanted).solution
    assert torch.allclose(torch.cat([probe.weight, probe.bias[None]]), solved, atol=1e-4)


def test_kinds_count_the_same_whatever_their_numbers() -> None:
    x = torch.cat(
        [torch.randn(90, 3, generator=seeded(1)), torch.randn(10, 3, generator=seeded(2))]
    )
    kind = torch.tensor([0] * 90 + [1] * 10)
    repeated = torch.cat([x[:90], x[90:].repeat(9, 1)])
    probe = LinearProbe.of_kinds(x, kind, 2)
    known = torch.nn.functional.one_hot(torch.tensor([0] * 90 + [1] * 90), 2).float()
    even = LinearProbe.fitted(repeated, known, torch.full((180,), 50 / 90))
    assert torch.allclose(probe(x), even(x), atol=1e-4)
    assert LinearProbe.of_kinds(x, kind, 3)(x)[:, 2].abs().max() == 0, "a kind without rows"
