"""What a bench compares with says the same as what is compared with it."""

import pytest
import torch

from bench.wavenet import last_logits, sized_net


@pytest.mark.parametrize("padded", [True, False])
def test_the_naive_loop_says_what_the_net_does(padded: bool) -> None:
    net = sized_net()
    rng = torch.Generator().manual_seed(1)
    given = torch.randint(256, (1, 20 * net.hop), generator=rng)
    roll, style = net.unscored(20)[None], torch.tensor([0])
    whole = net(given, roll, style)[:, -1]
    told = net.condition(net.unscored(1)[None], style)[0, 0]
    found = last_logits(net, given[:, -net.receptive_field :], told, padded)
    torch.testing.assert_close(found, whole, rtol=1e-5, atol=1e-5)
    assert float(whole.std()) > 1e-3
    other = last_logits(net, given[:, -net.receptive_field :].roll(1, 1), told, padded)
    assert not torch.allclose(other, whole, atol=1e-3)
