"""Our WaveNet against wavenet_vocoder's (r9y9) with the same weights."""

import pytest

from bench.wavenet import disagreement, peer_of, sized_net


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # it was written for a torch of long ago
def test_it_is_the_net_that_others_have() -> None:
    pytest.importorskip("wavenet_vocoder", reason="wavenet-vocoder is not installed")
    net = sized_net()
    assert disagreement(net, peer_of(net)) < 1e-5
