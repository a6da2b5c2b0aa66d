import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from training.metrics.image.precision_recall import precision_recall, share_within


def cloud(seed: int, rows: int = 200, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(rows, 3, generator=torch.Generator().manual_seed(seed)) + shift


def test_a_set_covers_itself_and_nothing_far_away() -> None:
    assert precision_recall(cloud(0), cloud(0)) == (1.0, 1.0)
    assert precision_recall(cloud(0), cloud(1, shift=50.0)) == (0.0, 0.0)


def test_one_mode_of_two_is_precise_and_recalls_half() -> None:
    real = torch.cat([cloud(0), cloud(1, shift=50.0)])
    precision, recall = precision_recall(real, cloud(2))
    assert precision > 0.9
    assert recall == pytest.approx(0.5, abs=0.05)


def test_wild_pictures_beside_good_ones_cost_precision_alone() -> None:
    generated = torch.cat([cloud(1), cloud(2) * 0.1 + 60.0])
    precision, recall = precision_recall(cloud(0), generated)
    assert precision == pytest.approx(0.5, abs=0.05)
    assert recall > 0.9


@pytest.mark.parametrize("k", [1, 3, 5])
def test_balls_are_those_of_scikit_learn(k: int) -> None:
    points, members = cloud(3, 60), cloud(4, 80)
    neighbours = NearestNeighbors(n_neighbors=k + 1).fit(members.double().numpy())
    reach = neighbours.kneighbors(members.double().numpy())[0][:, -1]
    apart = (points[:, None].double() - members[None].double()).norm(dim=2).numpy()
    assert share_within(points, members, k) == (apart <= reach).any(1).mean()


def test_too_few_members_are_refused() -> None:
    with pytest.raises(ValueError, match="3 members have no 3 neighbours"):
        share_within(cloud(0), cloud(1, rows=3))
