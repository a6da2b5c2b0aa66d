"""A CLIP that works for other models: reads prompts, and leads pictures towards them."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from models.batching import Batched, Place
from models.checkpoint import Checkpoint, build_part
from models.header import CheckpointError
from models.nets.clip import build_clip, see, tell
from models.words import PAD, Words

MOST = 12  # texts at once
SHORT = 16  # tokens that most prompts fit in
LEAST_CUT = 0.7  # the smallest side of a cutout, as a part of the picture's


@dataclass(frozen=True, slots=True)
class Prompted:
    """A prompt as a net that paints is told of it, without a batch dimension."""

    states: Tensor  # (context, width)
    hidden: Tensor  # (context,), -inf where a token only pads
    pooled: Tensor  # (embed_dim,), of length 1

    def cut(self, length: int) -> tuple[Tensor, Tensor, Tensor]:
        """Its row of another length, which it must fit in."""
        return self.states[:length], self.hidden[:length], self.pooled


class CLIP:
    """Both towers, and the words that the text tower knows."""

    def __init__(self, checkpoint: Checkpoint, place: Place) -> None:
        net = dict(checkpoint.header.net)
        own = {k: t for k, t in checkpoint.tensors.items() if not k.startswith("words.")}
        built: Any = build_part(build_clip, net, own, place)
        self.net = built
        # it is no weight, so that it was left without values
        self.net.text.attn_mask = self.net.text.build_causal_mask().to(place.device, place.dtype)
        try:
            self.words = Words.read(checkpoint.tensors)
        except (KeyError, ValueError) as error:
            raise CheckpointError(f"it has no words: {error}") from None
        if self.words.rows != self.net.text.vocab_size:
            raise CheckpointError("its words don't fit its token table")
        self.context: int = self.net.text.context_length
        self.width: int = self.net.text.width
        self.embed: int = self.net.text.output_dim
        side = self.net.visual.image_size
        self.side: int = side if isinstance(side, int) else side[0]
        example = (torch.full((self.context,), self.words.rows - 1),)
        self.tell: Batched[tuple[Tensor, Tensor]] = Batched(
            self._tell, example, most=MOST, dtype=place.dtype
        )

    def tokens(self, rows: list[int]) -> Tensor:
        """(context,) int64, padded."""
        page = torch.full((self.context,), PAD)
        page[: len(rows)] = torch.tensor(rows)
        return page

    def prompted(self, rows: list[int], told: tuple[Tensor, Tensor]) -> Prompted:
        """From what `tell` said of these rows."""
        hidden = torch.zeros(self.context)
        hidden[len(rows) :] = -torch.inf
        return Prompted(told[0], hidden, told[1])

    def _tell(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        told = tell(self.net, tokens)
        return told.states, told.pooled

    def likeness(self, pictures: Tensor, goal: Tensor, cuts: Tensor) -> Tensor:
        """Mean cosine similarity of cutouts of each picture (B, 3, H, W) in [-1, 1] to a text.

        goal (B, embed) of length 1; cuts (B, n, 3): the side of each cutout as a part of the
        picture's, and where it lies, in [-1, 1]. (B,), and it can be differentiated.
        """
        count = cuts.shape[1]
        cuts = cuts.nan_to_num().clamp(-2, 2)  # grid_sample crashed on a place that is no number
        theta = torch.zeros(len(pictures), count, 2, 3, dtype=cuts.dtype, device=cuts.device)
        theta[:, :, 0, 0] = theta[:, :, 1, 1] = cuts[:, :, 0]
        theta[:, :, :, 2] = cuts[:, :, 1:] * (1 - cuts[:, :, :1])
        shape = [len(pictures) * count, 3, self.side, self.side]
        grid = F.affine_grid(theta.flatten(0, 1), shape, align_corners=False).to(pictures.dtype)
        many = pictures.repeat_interleave(count, 0)
        parts = F.grid_sample(many, grid, padding_mode="border", align_corners=False)
        seen = see(self.net, parts).view(len(pictures), count, -1)
        return (seen * goal[:, None].float()).sum(2).mean(1)


def cutouts(rng: torch.Generator, count: int) -> Tensor:
    """(count, 3) as `CLIP.likeness` takes them; the first is the whole picture."""
    cuts = torch.rand(count, 3, generator=rng)
    sides = LEAST_CUT + (1 - LEAST_CUT) * cuts[:, :1]
    cuts = torch.cat([sides, cuts[:, 1:] * 2 - 1], 1)
    cuts[0] = torch.tensor([1.0, 0.0, 0.0])
    return cuts
