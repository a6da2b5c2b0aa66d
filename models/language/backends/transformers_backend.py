"""Any causal language model of transformers, over caches that are there beforehand.

Rows at different places of different texts share a forward pass: each writes its keys and values
at its own slot and place, and attends over its own slot up to there. A net that looks back by some
rule of its own is refused: it is tried when it is loaded. transformers takes seconds to load, so
this file is imported with the first model that needs it.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer
from transformers.initialization import no_init_weights

from models.checkpoint.header import CheckpointError
from models.checkpoint.weights import check_names_and_shapes
from models.engine.batching import Placement
from models.language.backends.kv_cache import Rows, slot_cache
from models.nets.activations import make_even
from models.params.token_sampling import LONGEST_CONTEXT

MAKER: Any = AutoModelForCausalLM  # it has no types
SPAN = 128  # places that the shortest texts attend over; longer ones over twice as many, and so on
KEPT = {DynamicLayer, DynamicSlidingWindowLayer}
"""The layers of a cache that hold keys and values alone."""
CHUNK, CHUNK_ON_CUDA = 32, 256  # tokens of a prompt that are read in one step
PADDED, PADDED_ON_CUDA = 4, 8  # rows that are padded to, so that a row's bits are its own
MOST = 8  # on the CPU
TRIED = 12  # tokens
NEAR = {torch.float32: 0.01, torch.bfloat16: 0.2, torch.float16: 0.05}  # of a logit's deviation


class CausalNet:
    """A model and the caches of its slots, (slots + 1, heads, places, width) each."""

    cost_unit = 1

    def __init__(
        self,
        config: Mapping[str, Any],
        tensors: Mapping[str, Tensor],
        placement: Placement,
        context: int,
    ) -> None:
        """Raises CheckpointError where it can't be built, or keeps more than keys and values."""
        placement = replace(placement, dtype=placement.language_dtype or placement.dtype)
        self._net = _built(config, tensors, placement)
        self._placement, self.context = placement, min(context, _window(self._net.config))
        self.vocabulary = int(self._net.config.vocab_size)
        cuda = placement.device.type == "cuda"
        self.chunk = CHUNK_ON_CUDA if cuda else CHUNK
        self.pad_to: int | None = PADDED_ON_CUDA if cuda else PADDED
        self.max_batch: int | None = None if cuda else MOST
        if _has_experts(self._net.config):  # whoever shares one shares its bits
            self.pad_to, self.max_batch = 1, None
        last = _config_value(self._net.config, "max_position_embeddings") or self.places
        self._last = int(last) - 1
        self._shapes = _cached_shapes(self._net, placement)
        self.slot_bytes = sum(
            2 * heads * width * self.places * placement.dtype.itemsize
            for heads, width in self._shapes
        )
        self.caches: tuple[Tensor, ...] = ()
        _forget_masks(self._net, self.places)
        self._try()

    @property
    def places(self) -> int:
        """Of a slot: a prompt's last chunk is written whole, wherever it begins."""
        return self.context + self.chunk

    def allocate(self, slots: int) -> None:
        """Make the caches of so many slots, and of the one that padding writes to."""
        options: dict[str, Any] = {"dtype": self._placement.dtype, "device": self._placement.device}
        self.caches = tuple(
            torch.zeros(slots + 1, heads, self.places, width, **options)
            for heads, width in self._shapes
            for _ in ("keys", "values")
        )

    def bucket(self, until: int) -> Tensor:
        """The places that a row attends over which goes no further than `until`: its bucket.

        A longer cache changes bits, even where it is masked; so a text's own length alone decides.
        """
        length = SPAN
        while length < until:
            length *= 2
        return torch.arange(min(length, self.places))

    def reusable(self, shared: int, prefilled: int) -> int:
        """Whole chunks: a token that was read in another chunk, or drawn, may have other bits."""
        return min(shared, prefilled) // self.chunk * self.chunk

    def reuse(self, source: int, slot: int, count: int) -> None:
        """The rest is zeroed: places that are masked are multiplied all the same."""
        for cache in self.caches:
            if source != slot:
                cache[slot, :, :count] = cache[source, :, :count]
            cache[slot, :, count:].zero_()

    def prefill(self, tokens: Tensor, start: Tensor, slot: Tensor, bucket: Tensor) -> None:
        """Write what becomes of tokens (B, C), which begin at `start` (B,), into slots (B,)."""
        places = start[:, None] + torch.arange(tokens.shape[1], device=tokens.device)
        self._run(self._net.base_model, tokens, places, slot, bucket)

    def logits(self, token: Tensor, position: Tensor, slot: Tensor, bucket: Tensor) -> Tensor:
        """(B, V) of what follows tokens (B,) at their places (B,)."""
        logits: Tensor = self._run(
            self._net, token[:, None], position[:, None], slot, bucket
        ).logits
        return logits[:, 0]

    def _run(self, net: Any, tokens: Tensor, places: Tensor, slot: Tensor, bucket: Tensor) -> Any:
        seen = bucket[:, None, None, :] <= places[:, None, :, None]  # (B, 1, C, L)
        lowest = torch.finfo(self._placement.dtype).min
        mask = torch.zeros(seen.shape, dtype=self._placement.dtype, device=seen.device)
        rows = Rows(slot, places, bucket.shape[1])
        return net(
            input_ids=tokens,
            attention_mask=mask.masked_fill_(~seen, lowest),
            position_ids=places.clamp(max=self._last),  # beyond it there is padding alone
            cache=slot_cache(self.caches, rows),
            use_cache=True,
        )

    def _try(self) -> None:
        """Raises CheckpointError for a net that makes something else of a text over a cache."""
        count = min(TRIED, self.context)
        tokens = torch.arange(1, count + 1, device=self._placement.device) % self.vocabulary
        at = torch.zeros(1, dtype=torch.int64, device=self._placement.device)
        everywhere = torch.arange(self.places, device=self._placement.device)[None]
        self.allocate(0)
        try:
            with torch.inference_mode():
                want = self._net(tokens[None], use_cache=False).logits[0, -1].float()
                self.prefill(tokens[None, :-1], at, at, everywhere)
                got = self.logits(tokens[-1:], at + count - 1, at, everywhere)[0].float()
        except (RuntimeError, IndexError) as error:
            raise CheckpointError(f"it can't be run over a cache: {error}") from None
        self.caches = ()
        if (got - want).abs().max() > NEAR[self._placement.dtype] * want.std():
            raise CheckpointError(
                "it attends by a rule of its own: over a cache it says other things"
            )


def _built(config: Mapping[str, Any], tensors: Mapping[str, Tensor], placement: Placement) -> Any:
    options = {name: value for name, value in config.items() if name != "model_type"}
    try:
        architecture = AutoConfig.for_model(str(config.get("model_type")), **options)
        with no_init_weights():  # not on the meta device: it has tables that are not saved
            net = MAKER.from_config(architecture, dtype=placement.dtype)
    except Exception as error:  # whatever it makes of a configuration that is none
        raise CheckpointError(f"the net can't be built from its header: {error}") from None
    tied = net.all_tied_weights_keys
    own = {name: t for name, t in net.state_dict().items() if name not in tied}
    check_names_and_shapes(own, tensors)
    placed = {
        name: tensor.to(placement.device, placement.dtype) for name, tensor in tensors.items()
    }
    net.load_state_dict(placed, assign=True, strict=False)
    net.tie_weights()
    make_even(net)
    return net.to(placement.device).eval().requires_grad_(False)


def _config_value(config: Any, name: str) -> int | None:
    """A number of a configuration, by whichever name its architecture has for it."""
    text = config.get_text_config()
    return int(getattr(text, name)) if getattr(text, name, None) else None


def _window(config: Any) -> int:
    """Places that every layer can look back over: within them, a window is no limit."""
    names = ("max_position_embeddings", "sliding_window", "window_size")
    limits = [limit for name in names if (limit := _config_value(config, name)) is not None]
    return min(limits, default=LONGEST_CONTEXT)


def _has_experts(config: Any) -> bool:
    names = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
    return any((_config_value(config, name) or 0) > 1 for name in names)


def _forget_masks(net: Any, places: int) -> None:
    """Old nets keep a causal mask each, which takes rows to be the last of all places: what they
    are given says it all, and no text is longer than what any of them looks back over."""
    for module in net.modules():
        mask = dict(module.named_buffers(recurse=False)).get("bias")
        if mask is not None and mask.dtype == torch.bool and mask.ndim == 4:
            module.bias = torch.ones((), dtype=torch.bool, device=mask.device).expand(
                1, 1, places, places
            )


def _cached_shapes(net: Any, placement: Placement) -> list[tuple[int, int]]:
    """Heads and width of each layer's keys, as the net itself makes them of one token."""
    cache = DynamicCache(config=net.config)
    with torch.inference_mode():
        net(
            torch.zeros(1, 1, dtype=torch.int64, device=placement.device),
            cache=cache,
            use_cache=True,
        )
    shapes = []
    layers: list[Any] = cache.layers
    for layer in layers:
        if type(layer) not in KEPT or layer.keys.shape != layer.values.shape:
            raise CheckpointError("it keeps something else of a text than keys and values")
        shapes.append((layer.keys.shape[1], layer.keys.shape[3]))
    return shapes
