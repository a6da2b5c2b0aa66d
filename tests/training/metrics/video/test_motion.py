import pytest
import torch

from models.engine.noise import seeded
from training.metrics.video.motion import (
    jerkiness,
    loop_seam,
    motion_energy,
    nearest_clips,
    seed_variety,
)


def turning(frames: int = 8, side: int = 16) -> torch.Tensor:
    """A smooth wave that goes round once, (1, F, 1, S, S)."""
    angle = torch.arange(frames).view(-1, 1) * 2 * torch.pi / frames
    wave = 127 + 100 * torch.sin(angle + torch.linspace(0, 6, side))
    return wave.byte().view(1, frames, 1, 1, side).expand(-1, -1, -1, side, -1).clone()


def test_what_stands_still_has_no_energy_and_no_jerk() -> None:
    still = torch.full((2, 5, 3, 4, 4), 9, dtype=torch.uint8)
    assert motion_energy(still).tolist() == [0, 0]
    assert jerkiness(still).tolist() == [0, 0]


def test_energy_is_the_mean_change_with_that_from_the_end_to_the_beginning() -> None:
    clip = torch.tensor([0, 10, 40], dtype=torch.uint8).view(1, 3, 1, 1, 1)
    assert motion_energy(clip).item() == pytest.approx((10 + 30 + 40) / 3)


def test_a_glide_is_smoother_than_a_flicker() -> None:
    rng = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (1, 8, 1, 16, 16), generator=rng, dtype=torch.uint8)
    back_and_forth = torch.zeros(1, 8, 1, 4, 4, dtype=torch.uint8)
    back_and_forth[:, ::2] = 200
    assert jerkiness(turning(16)).item() < 0.6
    assert 1.4 < jerkiness(noise).item() < 1.8
    assert jerkiness(back_and_forth).item() == 2


def test_the_seam_is_the_last_change_over_the_mean_of_the_others() -> None:
    clips = torch.tensor([[0, 10, 40], [0, 10, 20], [5, 5, 5]], dtype=torch.uint8)
    assert loop_seam(clips.view(3, 3, 1, 1, 1)).tolist() == pytest.approx([40 / 20, 20 / 10, 1])
    assert loop_seam(turning(16)).item() == pytest.approx(1, abs=0.05)


def test_the_nearest_is_found_however_it_begins_and_mirrored() -> None:
    rng = torch.Generator().manual_seed(0)
    known = torch.randint(0, 256, (70, 4, 3, 16, 16), generator=rng, dtype=torch.uint8)
    clips = torch.stack([known[69].roll(1, 0), known[3].flip(-1).roll(2, 0), known[0]])
    apart, index = nearest_clips(clips, known)
    assert index.tolist() == [69, 3, 0]
    assert apart.max() < 1
    other = nearest_clips(turning(4, 16).expand(-1, -1, 3, -1, -1), known)[0]
    assert other.item() > 30


def test_variety_is_the_distance_of_seeds_over_that_of_frames() -> None:
    """Beside a loop over all pairs."""
    clips = torch.randint(0, 256, (2, 3, 4, 3, 8, 8), generator=seeded(5), dtype=torch.uint8)
    clips[:, 1] = clips[:, 0]
    for row, value in zip(clips.float(), seed_variety(clips).tolist(), strict=True):
        seeds = [(row[i] - row[j]).square().mean().sqrt() for i in range(3) for j in range(i)]
        frames = [
            (row[0, i] - row[0, j]).square().mean().sqrt() for i in range(4) for j in range(i)
        ]
        expected = torch.stack(seeds).mean() / torch.stack(frames).mean()
        assert value == pytest.approx(float(expected), rel=1e-4)
