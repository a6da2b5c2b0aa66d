"""Training of CLIP: pictures and their captions side by side, with a teacher for the language."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.checkpoint.header import Header
from models.clip.tokenizer import WordTokenizer
from models.nets.clip import build_clip, see, tell
from training.data.images.lexicon import Taught
from training.errors import TrainingRefused
from training.loop.state import Kept, state_of, take_back
from training.optim.amp import mixed
from training.optim.ema import Average
from training.optim.schedules import set_rate, warm_cosine
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


class CLIPLearner:
    """The contrastive loss of Radford et al. 2021 (2103.00020), figure 3, with all pictures of a
    caption as right (Yang et al. 2022, 2204.03610, equation 3); with a lesson, texts are drawn
    towards the teacher's vectors through a layer that is thrown away."""

    def __init__(
        self,
        card: Header,
        words: WordTokenizer,
        settings: CLIPSettings,
        device: torch.device,
        lesson: Taught | None = None,
    ) -> None:
        self.words = words
        with torch.random.fork_rng(devices=[]):  # open_clip draws its weights from the global one
            torch.manual_seed(settings.seed)
            net = build_clip(**card.net)
            head = None if lesson is None else layer_to(lesson, card)
        placed: Any = net.to(device).to(memory_format=torch.channels_last).train()
        self.net = placed
        self.head = None if head is None else head.to(device)
        self.settings, self.device, self.steps = settings, device, 0
        self.lesson = lesson
        if lesson is not None:
            context = self.net.text.context_length
            self.phrases = self.words.table(lesson.texts, context).to(torch.int16)
        self.average = Average(self.net, settings.decay)
        learnt = [*self.net.parameters(), *(() if self.head is None else self.head.parameters())]
        heavy, plain = ([p for p in learnt if (p.ndim >= 2) is large] for large in (True, False))
        self.optimiser = torch.optim.AdamW(
            [
                {"params": heavy, "weight_decay": settings.weight_decay},
                {"params": plain, "weight_decay": 0.0},
            ],
            settings.rate,
            betas=(0.9, 0.98),
            fused=True,
        )
        self.seen = torch.zeros(1, 3, 1, 1)

    def step(self, batch: Batch, rng: torch.Generator) -> dict[str, float]:
        pictures, concept, _, short, long = batch
        texts = long if torch.rand((), generator=rng) < self.settings.long else short
        pick = torch.randint(texts.shape[1], (len(texts),), generator=rng)
        tokens = trimmed(texts[torch.arange(len(texts)), pick]).to(self.device)
        x = moved(pictures.to(self.device), rng)
        self.seen = x
        with mixed(self.device):
            seen, told = see(self.net, x), tell(self.net, tokens).pooled
        scale = self.net.logit_scale.clamp(max=LARGEST_SCALE).exp()
        same = (concept[:, None] == concept[None]).float().to(self.device)
        contrast = both_ways(scale * seen @ told.T, same)
        found = same.gather(1, (seen @ told.T).argmax(1, keepdim=True)).mean()
        figures = {"contrast": contrast, "found": found}
        loss = contrast
        if self.lesson is not None and self.head is not None:
            figures["lesson"] = self._taught(self.lesson, self.head, rng)
            loss = contrast + self.settings.teach * figures["lesson"]
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        settings = self.settings
        factor = warm_cosine(self.steps, settings.steps, settings.warmup)
        set_rate(self.optimiser, settings.rate * factor)
        self.optimiser.step()
        self.steps += 1
        self.average.follow(self.net, self.steps)
        return {name: value.item() for name, value in {"loss": loss, **figures}.items()}

    def _taught(self, lesson: Taught, head: nn.Linear, rng: torch.Generator) -> Tensor:
        """1 - cosine between the teacher's vectors of some phrases and ours."""
        rows = torch.randint(len(self.phrases), (self.settings.taught,), generator=rng)
        with mixed(self.device):
            told = tell(self.net, trimmed(self.phrases[rows]).to(self.device)).pooled
        taught = lesson.vectors[rows].to(self.device)
        return (1 - F.cosine_similarity(head(told), taught)).mean()

    def sample(self, rows: int, rng: torch.Generator) -> Tensor:
        """It makes no pictures: those that it learnt from last."""
        return self.seen[:rows].float().add(1).div(2).clamp(0, 1)

    def weights(self) -> dict[str, Tensor]:
        own = {k: v.contiguous().cpu() for k, v in self.average.net.state_dict().items()}
        return own | self.words.tensors()

    def begin(self, weights: Mapping[str, Tensor]) -> None:
        raise TrainingRefused(
            "a CLIP can't begin from a checkpoint: the layer to its teacher is in none"
        )

    def state(self) -> dict[str, Any]:
        return state_of(self.steps, self._parts())

    def restore(self, state: dict[str, Any]) -> None:
        self.steps = take_back(state, self._parts())

    def _parts(self) -> dict[str, Kept]:
        head = {} if self.head is None else {"head": self.head}
        return {"net": self.net, "average": self.average.net, "optimiser": self.optimiser, **head}


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
