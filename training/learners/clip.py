"""Trains CLIP: images and their captions, with a teacher for the language."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.checkpoint.header import Header
from models.clip.tokenizer import WordTokenizer
from models.nets.clip import build_clip, see, tell
from training.data.images.lexicon import Taught
from training.learners.standard import Objective
from training.optim.amp import mixed
from training.recipe import Batch

LARGEST_SCALE = math.log(100)  # Radford et al. 2021, section 2.5
SHIFT, ZOOM = 0.08, 0.12


@dataclass(frozen=True, slots=True)
class CLIPSettings:
    """AdamW's rate warms up, then falls along a cosine to nothing over `steps`."""

    steps: int
    rate: float = 1e-3
    weight_decay: float = 0.1
    warmup: int = 100
    decay: float = 0.995  # of the average
    taught: int = 128  # phrases of the teacher's a step, where there is one
    teach: float = 1.0  # weight of what the teacher says
    long: float = 0.4  # steps with Chinese and lists of keywords, the others short English
    seed: int = 0


class CLIPObjective(Objective[Any]):
    """The contrastive loss of Radford et al. 2021 (2103.00020), figure 3.

    All images of a caption are right answers (Yang et al. 2022, 2204.03610, equation 3). With a
    lesson, a linear layer that is not served also learns to predict the teacher's text vectors.
    """

    settings: CLIPSettings
    betas = (0.9, 0.98)
    refusal = "a CLIP can't begin from a checkpoint: the layer to its teacher is in none"

    def __init__(
        self,
        card: Header,
        tokenizer: WordTokenizer,
        settings: CLIPSettings,
        device: torch.device,
        lesson: Taught | None = None,
    ) -> None:
        with torch.random.fork_rng(devices=[]):  # open_clip draws its weights from the global one
            torch.manual_seed(settings.seed)
            net = build_clip(**card.net)
            head = None if lesson is None else layer_to(lesson, card)
        placed: Any = net.to(device).to(memory_format=torch.channels_last).train()
        self.net = placed
        self.head = None if head is None else head.to(device)
        self.tokenizer, self.settings, self.device, self.lesson = (
            tokenizer,
            settings,
            device,
            lesson,
        )
        if lesson is not None:
            context = self.net.text.context_length
            self.phrases = tokenizer.table(lesson.texts, context).to(torch.int16)
        self.last_batch = torch.zeros(1, 3, 1, 1)

    def groups(self) -> list[dict[str, Any]]:
        """Only matrices and kernels decay."""
        modules = [self.net, *self.extra_modules().values()]
        parameters = [p for module in modules for p in module.parameters()]
        return [
            {
                "params": [p for p in parameters if p.ndim >= 2],
                "weight_decay": self.settings.weight_decay,
            },
            {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
        ]

    def extra_modules(self) -> dict[str, nn.Module]:
        return {} if self.head is None else {"head": self.head}

    def extra_tensors(self) -> dict[str, Tensor]:
        return self.tokenizer.tensors()

    def loss(self, batch: Batch, rng: torch.Generator, step: int) -> tuple[Tensor, dict[str, Any]]:
        pictures, concept, _, short, long = batch
        tokens = drawn_text(short, long, self.settings.long, rng).to(self.device)
        x = self.last_batch = moved(pictures.to(self.device), rng)
        with mixed(self.device):
            image, text = see(self.net, x), tell(self.net, trimmed(tokens)).pooled
        scale = self.net.logit_scale.clamp(max=LARGEST_SCALE).exp()
        same = (concept[:, None] == concept[None]).float().to(self.device)
        contrast = both_ways(scale * image @ text.T, same)
        top1 = same.gather(1, (image @ text.T).argmax(1, keepdim=True)).mean()
        if self.lesson is None or self.head is None:
            return contrast, {"contrast": contrast, "top1": top1}
        distance = self._distance(self.lesson, self.head, rng)
        loss = contrast + self.settings.teach * distance
        return loss, {"contrast": contrast, "top1": top1, "lesson": distance}

    def _distance(self, lesson: Taught, head: nn.Linear, rng: torch.Generator) -> Tensor:
        """Returns 1 - cosine between the teacher's vectors of some phrases and ours."""
        rows = torch.randint(len(self.phrases), (self.settings.taught,), generator=rng)
        with mixed(self.device):
            text = tell(self.net, trimmed(self.phrases[rows]).to(self.device)).pooled
        target = lesson.vectors[rows].to(self.device)
        return (1 - F.cosine_similarity(head(text), target)).mean()

    def sample(self, net: Any, rows: int, rng: torch.Generator) -> Tensor:
        """Returns images of the last batch: CLIP makes none."""
        return self.last_batch[:rows].float().add(1).div(2).clamp(0, 1)


def drawn_text(short: Tensor, long: Tensor, chance: float, rng: torch.Generator) -> Tensor:
    """Draws one text for every row, all of them long with this chance: (B, tokens) int64."""
    texts = long if torch.rand((), generator=rng) < chance else short
    pick = torch.randint(texts.shape[1], (len(texts),), generator=rng)
    return texts[torch.arange(len(texts)), pick].long()


def layer_to(lesson: Taught, card: Header) -> nn.Linear:
    """From a text's vector to the teacher's."""
    width: Any = card.net["embed_dim"]
    return nn.Linear(width, lesson.vectors.shape[1])


def trimmed(tokens: Tensor) -> Tensor:
    """Without the columns that only pad; int64."""
    longest = int((tokens != 0).sum(1).max())
    return tokens[:, :longest].long()


def both_ways(logits: Tensor, same: Tensor) -> Tensor:
    """The mean of the cross-entropies picture to text and back; several may be right at once."""
    rows = -(logits.log_softmax(1) * same / same.sum(1, keepdim=True)).sum(1).mean()
    columns = -(logits.log_softmax(0) * same / same.sum(0, keepdim=True)).sum(0).mean()
    return (rows + columns) / 2


def moved(pictures: Tensor, rng: torch.Generator) -> Tensor:
    """uint8 to [-1, 1], a little moved, enlarged or shrunk; what comes in is white."""
    x = pictures.float().div(127.5).sub(1)
    count, side = len(x), x.shape[-1]
    size = 1 + (torch.rand(count, generator=rng) * 2 - 1) * ZOOM
    shift = (torch.rand(count, 2, generator=rng) * 2 - 1) * 2 * SHIFT
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = size
    theta[:, :, 2] = shift
    grid = F.affine_grid(theta.to(x.device), [count, 3, side, side], align_corners=False)
    return 1 - F.grid_sample(1 - x, grid, align_corners=False).to(x.dtype)
