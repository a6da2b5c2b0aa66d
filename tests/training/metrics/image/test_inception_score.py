import numpy as np
import pytest
import scipy.stats
import torch

from training.metrics.image.inception_score import inception_score


def test_sure_and_varied_scores_the_number_of_classes() -> None:
    assert inception_score(torch.eye(7).repeat(3, 1)) == pytest.approx(7)


def test_pictures_judged_alike_score_one() -> None:
    assert inception_score(torch.tensor([[0.2, 0.3, 0.5]] * 9)) == pytest.approx(1)
    assert inception_score(torch.tensor([[1.0, 0.0, 0.0]] * 9)) == pytest.approx(1)


def test_the_score_is_that_of_scipys_entropies() -> None:
    p = torch.randn(40, 6, generator=torch.Generator().manual_seed(0)).softmax(1).double().numpy()
    divergences = [scipy.stats.entropy(row, p.mean(0)) for row in p]
    assert inception_score(torch.from_numpy(p)) == pytest.approx(np.exp(np.mean(divergences)))
