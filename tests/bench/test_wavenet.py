"""The WaveNet bench compares nets that give the same logits."""

import pytest
import torch

from bench.wavenet import last_logits, logits_difference, peer_of, sized_net


@pytest.mark.parametrize("padded", [True, False])
def test_the_naive_loop_gives_the_logits_of_the_net(padded: bool) -> None:
    net = sized_net()
    rng = torch.Generator().manual_seed(1)
    samples = torch.randint(256, (1, 20 * net.hop), generator=rng)
    roll, style = net.unscored(20)[None], torch.tensor([0])
    expected = net(samples, roll, style)[:, -1]
    cond = net.condition(net.unscored(1)[None], style)[0, 0]
    logits = last_logits(net, samples[:, -net.receptive_field :], cond, padded)
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)
    assert float(expected.std()) > 1e-3
    other = last_logits(net, samples[:, -net.receptive_field :].roll(1, 1), cond, padded)
    assert not torch.allclose(other, expected, atol=1e-3)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # it was written for an old torch
def test_our_net_gives_the_logits_of_wavenet_vocoder() -> None:
    pytest.importorskip("wavenet_vocoder", reason="wavenet-vocoder is not installed")
    net = sized_net()
    assert logits_difference(net, peer_of(net)) < 1e-5
