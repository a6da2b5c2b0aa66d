"""A sketch is DDIM without fresh noise: the way is the same as of the textbook's loop."""

import torch
from torch import Tensor

from models.checkpoint.configs import DiffusionProcess
from models.diffusion.noise_schedule import NoiseSchedule
from training.learners.quick_sample import STEPS, sketched

PROCESS = NoiseSchedule.of(
    DiffusionProcess.parse({"schedule": "cosine", "steps": 1000, "prediction": "v", "clip": False})
)


def test_it_goes_the_way_of_a_plain_loop() -> None:
    x = torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    asked: list[float] = []

    def ask(noisy: Tensor, t: Tensor) -> Tensor:
        asked.append(t[0].item())
        return 0.3 * noisy + t[:, None, None, None] / 1000

    sketch = sketched(PROCESS, x, ask)
    times = [round(1000 * i / STEPS) - 1 for i in range(STEPS, 0, -1)]
    assert asked == times
    bars = [*(PROCESS.alpha_bar[t] for t in times), torch.tensor(1.0)]
    for t, a, b in zip(times, bars, bars[1:], strict=False):
        said = 0.3 * x + t / 1000
        x0, eps = a.sqrt() * x - (1 - a).sqrt() * said, a.sqrt() * said + (1 - a).sqrt() * x
        x = b.sqrt() * x0 + (1 - b).sqrt() * eps
    assert torch.allclose(sketch, x, atol=1e-5)
