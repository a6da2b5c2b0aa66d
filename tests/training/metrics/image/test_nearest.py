import pytest
import torch

from training.metrics.image import nearest
from training.metrics.image.nearest import nearest_pictures


def pictures(count: int, seed: int, side: int = 32) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, side, side), generator=rng, dtype=torch.uint8)


def test_a_copy_is_nearest_mirrored_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "ROWS", 4)
    known = pictures(9, 0)
    distance, index = nearest_pictures(torch.stack([known[7], known[2].flip(-1)]), known)
    assert index.tolist() == [7, 2]
    assert distance == pytest.approx(0, abs=1e-3)


def test_the_distance_is_that_of_small_pictures() -> None:
    ours, known = pictures(3, 1), pictures(5, 2)
    small, others = (x.float().view(-1, 3, 16, 2, 16, 2).mean((3, 5)) for x in (ours, known))
    both = torch.stack([others, others.flip(-1)])  # (2, 5, 3, 16, 16)
    naive = (small[:, None, None] - both).square().mean((3, 4, 5)).sqrt().amin((1, 2))
    torch.testing.assert_close(nearest_pictures(ours, known)[0], naive, rtol=1e-5, atol=1e-3)


def test_black_and_white_are_255_apart() -> None:
    black = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    distance, index = nearest_pictures(black, torch.full_like(black, 255))
    assert (distance.item(), index.item()) == (255.0, 0)
