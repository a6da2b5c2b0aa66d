"""Nets of many architectures over our caches: each says what transformers has it say alone."""

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from models.checkpoint.header import CheckpointError
from models.engine.batching import Placement
from models.language.backends.transformers_backend import CausalNet

CPU = Placement(torch.device("cpu"))
SMALL: dict[str, Any] = {
    "vocab_size": 80,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 300,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
}
OLD: dict[str, Any] = {
    "vocab_size": 80,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 300,
}
LOCAL = {"attention_types": [[["global", "local"], 1]], "num_layers": 2, "num_heads": 4}
EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2}
KINDS: dict[str, dict[str, Any]] = {
    "qwen3": SMALL,
    "gemma2": {**SMALL, "sliding_window": 280, "query_pre_attn_scalar": 8},
    "phi": SMALL,
    "gpt_neox": SMALL,
    "stablelm": SMALL,
    "opt": {**SMALL, "ffn_dim": 48, "word_embed_proj_dim": 32},
    "gpt2": OLD,
    "gpt_neo": {**SMALL, **LOCAL, "window_size": 260},
    "mixtral": {**SMALL, **EXPERTS},
}
TOKENS = torch.randint(3, 80, (270,), generator=torch.Generator().manual_seed(1))


def peer_of(kind: str, **changed: Any) -> Any:
    torch.manual_seed(3)
    maker: Any = AutoModelForCausalLM  # it has no types
    net = maker.from_config(AutoConfig.for_model(kind, **{**KINDS[kind], **changed})).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.ndim > 1:
                parameter.mul_(4)  # so that nothing is silent
    return net


def net_of(peer: Any) -> CausalNet:
    tied = peer.all_tied_weights_keys
    weights = {name: t for name, t in peer.state_dict().items() if name not in tied}
    net = CausalNet(peer.config.to_dict(), weights, CPU, 290)
    net.allocate(3)
    return net


def read(net: CausalNet, tokens: Tensor, slot: Tensor) -> None:
    """All of them, the last chunk filled up, as a page does it."""
    for start in range(0, len(tokens), net.chunk):
        chunk = tokens[start : start + net.chunk]
        chunk = torch.cat([chunk, chunk[-1:].repeat(net.chunk - len(chunk))])
        net.prefill(chunk[None], torch.tensor([start]), slot, net.bucket(start + net.chunk)[None])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [5, 100, 258])
def test_over_a_cache_it_says_what_it_says_alone(kind: str, count: int) -> None:
    peer, slot = peer_of(kind), torch.tensor([2])
    net = net_of(peer)
    assert net.context >= 259
    with torch.inference_mode():
        want = peer(TOKENS[None, : count + 1], use_cache=False).logits[0, -1]
        read(net, TOKENS[:count], slot)
        at = (torch.tensor([count]), slot, net.bucket(count + 1)[None])
        (got,) = net.logits(TOKENS[count : count + 1], *at)
    assert want.std() > 0.05
    torch.testing.assert_close(got, want, atol=2e-4, rtol=2e-4)


@pytest.mark.parametrize("kind", ["opt", "gpt2"])
def test_the_last_chunk_may_reach_beyond_the_last_place(kind: str) -> None:
    net = net_of(peer_of(kind))
    with torch.inference_mode():
        read(net, TOKENS.repeat(2)[:289], torch.tensor([1]))
    assert all(cache.isfinite().all() for cache in net.caches)


def test_a_window_bounds_the_context() -> None:
    assert net_of(peer_of("gpt_neo", window_size=40)).context == 40
    assert net_of(peer_of("gemma2", sliding_window=50)).context == 50


def test_rows_that_share_experts_keep_their_bits() -> None:
    net = net_of(peer_of("mixtral"))
    assert (net.pad_to, net.max_batch) == (1, None)


def test_a_net_with_a_rule_of_its_own_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "models.language.backends.transformers_backend._forget_masks", lambda net, places: None
    )
    with pytest.raises(CheckpointError, match="a rule of its own"):
        net_of(peer_of("gpt_neo", window_size=40))
