"""The kernel against transformers: every shape of net it takes, weights of every width, any batch.

`LlamaNet` through the family is tested by test_language.
"""

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from models.checkpoint.header import CheckpointError
from models.engine.batching import Placement
from models.language.backends.llama import LlamaNet
from models.language.backends.llama_weights import Shape

SMALL: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 75,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "num_key_value_heads": 3,
    "head_dim": 16,
    "max_position_embeddings": 96,
    "tie_word_embeddings": True,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
KINDS: dict[str, dict[str, Any]] = {
    "heads of their own": {},
    "shared by five": {"num_attention_heads": 10, "num_key_value_heads": 2, "hidden_size": 160},
    "one for all, wide": {"num_key_value_heads": 1, "head_dim": 32},
    "untied, many layers": {"tie_word_embeddings": False, "num_hidden_layers": 5},
    "qwen2": {"model_type": "qwen2", "hidden_size": 48},
    "mistral": {"model_type": "mistral", "sliding_window": 80},
}


def peer_of(config: dict[str, Any], dtype: torch.dtype = torch.float32) -> Any:
    """transformers' net, its weights such that nothing is silent, of this precision at most."""
    options, maker = dict(config), AutoModelForCausalLM
    torch.manual_seed(2)
    peer: Any = maker.from_config(AutoConfig.for_model(options.pop("model_type"), **options))
    with torch.no_grad():
        for parameter in peer.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.15)
            parameter.copy_(parameter.to(dtype))
    return peer.eval()


def net_of(peer: Any, dtype: torch.dtype = torch.float32, **placement: Any) -> LlamaNet:
    options = peer.config.to_dict()
    shape = Shape.of(options)
    assert shape is not None
    tied = peer.all_tied_weights_keys
    weights = {n: t.to(dtype) for n, t in peer.state_dict().items() if n not in tied}
    net = LlamaNet(shape, weights, Placement(torch.device("cpu"), **placement), 90)
    net.allocate(3)
    return net


def logits_of(net: LlamaNet, tokens: Tensor, slot: int = 1) -> Tensor:
    """Of every place of a text, a token at a time."""
    logits = []
    for position, token in enumerate(tokens):
        at = (torch.tensor([position]), torch.tensor([slot]), net.bucket(1)[None])
        logits.append(net.logits(token[None], *at)[0])
    return torch.stack(logits)


TOKENS = torch.randint(0, 75, (112,), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", KINDS)
def test_logits_are_those_of_transformers(kind: str) -> None:
    peer = peer_of({**SMALL, **KINDS[kind]})
    with torch.inference_mode():
        want = peer(TOKENS[None, :70]).logits[0]
        got = logits_of(net_of(peer), TOKENS[:70])
    assert want.std() > 0.3
    assert torch.allclose(got, want, atol=2e-4), (got - want).abs().max()


def test_bfloat16_weights_lose_nothing() -> None:
    peer = peer_of(SMALL, torch.bfloat16)
    with torch.inference_mode():
        narrow, wide = net_of(peer, torch.bfloat16), net_of(peer)
        assert narrow.weights.qkv.weights.itemsize == 2
        assert wide.weights.qkv.weights.itemsize == 4
        assert torch.equal(logits_of(narrow, TOKENS[:70]), logits_of(wide, TOKENS[:70]))
        forced = net_of(peer, torch.bfloat16, language_dtype=torch.float32)
        assert forced.weights.head.weights.itemsize == 4


def test_bytes_are_near_and_each_output_has_a_scale() -> None:
    peer = peer_of(SMALL)
    with torch.inference_mode():
        net = net_of(peer, language_dtype=torch.int8)
        want, got = peer(TOKENS[None, :70]).logits[0], logits_of(net, TOKENS[:70])
    assert net.weights.down.weights.itemsize == 1
    assert len(set(net.weights.down.scale[0].tolist())) > 10
    assert 0 < (got - want).abs().mean() < 0.05 * want.std()


@pytest.mark.parametrize("language_dtype", [None, torch.int8])
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 8, 9])
def test_a_row_has_the_same_bits_in_any_batch(
    rows: int, language_dtype: torch.dtype | None
) -> None:
    net = net_of(peer_of({**SMALL, **KINDS["shared by five"]}), language_dtype=language_dtype)
    with torch.inference_mode():
        alone = logits_of(net, TOKENS[:20], slot=2)
        many, slots = TOKENS[:1].repeat(rows), torch.zeros(rows, dtype=torch.int64)
        for last in (0, rows - 1):
            slots[:], places = 3, torch.arange(rows)
            many[:] = TOKENS[40 : 40 + rows]
            many[last], slots[last], places[last] = TOKENS[19], 2, 19
            spans = net.bucket(1)[None].expand(rows, 0)
            assert torch.equal(net.logits(many, places, slots, spans)[last], alone[19])


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_a_row_has_the_same_bits_however_many_threads_there_are(rows: int) -> None:
    peer, before, results = (
        peer_of({**SMALL, **KINDS["shared by five"]}),
        torch.get_num_threads(),
        [],
    )
    try:
        for threads in (1, 2, 3, 5):
            torch.set_num_threads(threads)
            net = net_of(peer)
            chunk, spans = (
                TOKENS[: 16 * rows].view(rows, 16) % 75,
                net.bucket(1)[None].expand(rows, 0),
            )
            slots = torch.arange(rows) % 3 + 1
            starts = torch.arange(rows) // 3 * 16
            with torch.inference_mode():
                net.prefill(chunk[:, :8], starts, slots, spans)
                logits = net.logits(chunk[:, 9], starts + 8, slots, spans)
            results.append((logits, *net.caches))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_a_chunk_writes_what_single_tokens_write() -> None:
    net = net_of(peer_of(SMALL))
    with torch.inference_mode():
        logits_of(net, TOKENS[:48], slot=1)
        for start in (0, 16, 32):
            chunk = TOKENS[start : start + 16][None]
            net.prefill(chunk, torch.tensor([start]), torch.tensor([2]), net.bucket(1)[None])
    for cache in net.caches:
        assert torch.equal(cache[1], cache[2])
        assert not cache[3].any()


@pytest.mark.parametrize(
    "changed",
    [
        {"model_type": "gpt2"},
        {"hidden_act": "gelu"},
        {"head_dim": 20},
        {"attention_bias": True},
        {"rope_parameters": {"rope_type": "llama3", "rope_theta": 1e4}},
    ],
)
def test_other_nets_are_not_taken(changed: dict[str, Any]) -> None:
    config = peer_of(SMALL).config.to_dict()
    assert Shape.of(config) is not None
    assert Shape.of({**config, **changed}) is None


def test_a_window_bounds_the_context() -> None:
    assert net_of(peer_of({**SMALL, **KINDS["mistral"]})).context == 80


def test_weights_that_do_not_fit_are_named() -> None:
    peer = peer_of(SMALL)
    shape = Shape.of(peer.config.to_dict())
    assert shape is not None
    weights = dict(peer.state_dict())
    with pytest.raises(CheckpointError, match=r"unknown tensor lm_head\.weight"):
        LlamaNet(shape, weights, Placement(torch.device("cpu")), 90)
    del weights["lm_head.weight"], weights["model.layers.1.mlp.up_proj.weight"]
    with pytest.raises(CheckpointError, match=r"lacks the tensor model\.layers\.1\.mlp\.up_proj"):
        LlamaNet(shape, weights, Placement(torch.device("cpu")), 90)
