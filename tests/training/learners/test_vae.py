"""The loss of a VAE's step, beside the sum of its terms."""

import copy

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from models.checkpoint.header import Header
from training.learners.vae import VAELearner, VAESettings
from training.optim.losses import bernoulli_nll, total_correlation

NET = {"kind": "broadcast", "size": 16, "width": 8, "latent": 3}
CARD = Header(family="vae", net=NET)
X = torch.randint(0, 256, (6, 1, 16, 16), dtype=torch.uint8)


@pytest.mark.parametrize(("beta", "correlation"), [(1.0, 1.0), (4.0, 1.0), (1.0, 3.0)])
def test_a_steps_loss_is_the_sum_of_its_terms(beta: float, correlation: float) -> None:
    settings = VAESettings(steps=10, beta=beta, correlation=correlation, warmup=4)
    learner = VAELearner(CARD, settings, torch.device("cpu"))
    for step in range(5):
        net = copy.deepcopy(learner.net)
        loss = learner.step((X,), torch.Generator().manual_seed(step))["loss"]
        mu, logvar = net.encode(X.float() / 255)
        deviation = (logvar / 2).exp()
        z = mu + deviation * torch.randn(mu.shape, generator=torch.Generator().manual_seed(step))
        kl = kl_divergence(Normal(mu, deviation), Normal(0.0, 1.0)).sum(1).mean()
        excess = (correlation - 1) * total_correlation(z, mu, logvar).mean()
        expected = bernoulli_nll(net.decode(z), X.float() / 255).mean()
        expected += min(1.0, (step + 1) / 4) * (beta * kl + excess)
        assert loss == pytest.approx(expected.item(), rel=1e-4)
