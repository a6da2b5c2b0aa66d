"""A CLIP that works for other models: encodes prompts, and guides pictures towards them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from models.checkpoint.configs import ClipProcess
from models.checkpoint.header import CheckpointError
from models.checkpoint.weights import Checkpoint, build_component
from models.clip.tokenizer import PAD, EveryWord, WordTokenizer, notes_of
from models.engine.batching import BatchedFn, Placement
from models.engine.flow import Step, gather
from models.nets.clip import Sight, build_clip, see, tell

MOST = 12  # texts at once
SHORT = 16  # tokens that most prompts fit in
LEAST_CUT = 0.7  # the smallest side of a cutout, as a part of the picture's


@dataclass(frozen=True, slots=True)
class EncodedPrompt:
    """An encoded prompt, without a batch dimension."""

    states: Tensor  # (context, width)
    hidden: Tensor  # (context,), -inf where a token only pads
    pooled: Tensor  # (embed_dim,), of length 1
    length: int  # its tokens

    def cut(self, length: int) -> tuple[Tensor, Tensor, Tensor]:
        """The same padded to another length, which it must fit in."""
        return self.states[:length], self.hidden[:length], self.pooled


class CLIP:
    """Both towers, the words that the text tower knows, and how pictures are shown to the other."""

    def __init__(self, checkpoint: Checkpoint, placement: Placement) -> None:
        if checkpoint.header.family != "clip":
            raise CheckpointError(f"it is no CLIP, but of family {checkpoint.header.family}")
        self.net = _net_of(checkpoint, placement)
        process = ClipProcess.parse(checkpoint.header.process)
        self.sight = Sight(process.mean, process.std, process.interpolation)
        self.tokenizer = _tokenizer_of(checkpoint, process)
        if self.tokenizer.rows != self.net.text.vocab_size:
            raise CheckpointError("its words don't fit its token table")
        self.context: int = self.net.text.context_length
        self.width: int = self.net.text.width
        self.embed: int = self.net.text.output_dim
        side = self.net.visual.image_size
        self.side: int = side if isinstance(side, int) else side[0]
        example = (torch.full((self.context,), self.tokenizer.rows - 1),)
        self.encode: BatchedFn[tuple[Tensor, Tensor]] = BatchedFn(
            self._encode, example, max_batch=MOST, dtype=placement.dtype
        )

    def tokens(self, rows: list[int]) -> Tensor:
        """(context,) int64, padded."""
        page = torch.full((self.context,), PAD)
        page[: len(rows)] = torch.tensor(rows)
        return page

    async def encode_prompts(
        self, texts: Sequence[str], progress: tuple[int, int]
    ) -> tuple[tuple[EncodedPrompt, ...], tuple[str, ...]]:
        """Encodes texts. Returns them, and notes on the words that were not read."""
        tokenized = [self.tokenizer.read_text(text, self.context) for text in texts]
        steps = [Step(self.encode, (self.tokens(t.rows),), progress) for t in tokenized]
        prompts = []
        for text, (states, pooled) in zip(tokenized, await gather(*steps), strict=True):
            hidden = torch.zeros(self.context)
            hidden[len(text.rows) :] = -torch.inf
            prompts.append(EncodedPrompt(states, hidden, pooled, len(text.rows)))
        return tuple(prompts), notes_of(self.context, *tokenized)

    def _encode(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        features = tell(self.net, tokens)
        return features.states, features.pooled

    def similarity(self, pictures: Tensor, goal: Tensor, cuts: Tensor) -> Tensor:
        """Mean cosine similarity of cutouts of each picture to a text; it can be differentiated.

        pictures (B, C, H, W) in [-1, 1], C 1 or 3; goal (B, embed) of length 1; cuts (B, n, 3): the
        side of each square cutout as a part of the picture's shorter edge, and where it lies, in
        [-1, 1]. Gives (B,).
        """
        count = cuts.shape[1]
        cuts = cuts.nan_to_num()  # grid_sample crashed on a place that is no number
        brought = self.sight.brought(pictures, self.side)
        theta = torch.zeros(len(cuts), count, 2, 3, dtype=cuts.dtype, device=cuts.device)
        for axis, length in enumerate((brought.shape[3], brought.shape[2])):
            fraction = cuts[:, :, 0] * (self.side / length)
            theta[:, :, axis, axis] = fraction
            theta[:, :, axis, 2] = cuts[:, :, 1 + axis] * (1 - fraction)
        shape = [len(pictures) * count, 3, self.side, self.side]
        grid = F.affine_grid(theta.flatten(0, 1), shape, align_corners=False).to(brought.dtype)
        many = brought.repeat_interleave(count, 0)
        parts = F.grid_sample(many, grid, padding_mode="border", align_corners=False)
        seen = see(self.net, parts, self.sight).view(len(pictures), count, -1)
        return (seen * goal[:, None].float()).sum(2).mean(1)


def _net_of(checkpoint: Checkpoint, placement: Placement) -> Any:
    """Both towers of its weights, with the buffers that are none and so were left without values.

    Raises CheckpointError.
    """
    config = dict(checkpoint.header.net)
    own = {k: t for k, t in checkpoint.tensors.items() if not k.startswith("words.")}
    net: Any = build_component(build_clip, config, own, placement)
    if net.text.attn_mask is not None:
        net.text.attn_mask = net.text.build_causal_mask()
    if any(buffer.is_meta for buffer in net.buffers()):  # some image towers know where things lie
        fresh = dict(build_clip(**config).named_buffers())
        for name, buffer in net.named_buffers():
            if buffer.is_meta:
                where, _, called = name.rpartition(".")
                net.get_submodule(where).register_buffer(called, fresh[name], persistent=False)
    return net.to(placement.device, placement.dtype)


def _tokenizer_of(checkpoint: Checkpoint, process: ClipProcess) -> WordTokenizer | EveryWord:
    """Raises CheckpointError if its words are not there."""
    if process.words == "all":
        return EveryWord()
    try:
        return WordTokenizer.from_tensors(checkpoint.tensors)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{process.fault}: {error}") from None


def cutouts(rng: torch.Generator, count: int) -> Tensor:
    """(count, 3) as `CLIP.similarity` takes them; the first is the whole picture."""
    cuts = torch.rand(count, 3, generator=rng)
    sides = LEAST_CUT + (1 - LEAST_CUT) * cuts[:, :1]
    cuts = torch.cat([sides, cuts[:, 1:] * 2 - 1], 1)
    cuts[0] = torch.tensor([1.0, 0.0, 0.0])
    return cuts
