"""What a model of moving emoji is told, read by CLIP once and kept; and stills to learn from too.

One safetensors file in the cache, so that a training needs neither CLIP nor the packages of words:

    states        (S, width) float16    every token of every text, as the text tower says it
    start         (T + 1,) int64        where each text begins in it
    pooled        (T, width) float16    each text as one vector; text 0 is the empty one
    clip_texts    (N, 4) int64          the texts of each clip, as they are ordered in the cache
    stills        (M, 4, 16, 16) float16  emoji that stand still, as latents
    still_style, still_texts            of each, (M,) and (M, 4)
"""

from dataclasses import asdict, dataclass
from functools import lru_cache

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from models.nets.unet import TextCondition
from training.components import part
from training.data.cache import cache_folder
from training.data.images.captions import captioned
from training.data.images.emoji_build import NAMES, plain_hexcode, read_json, unpack
from training.data.images.lexicon import STYLES, names
from training.data.video.clips import load_clips
from training.pretrained import FrozenTextTower, in_latents
from training.recipe import Data

LONGEST = 24  # tokens
TEXTS = 4
STYLE = STYLES.index("fluent-3d")
"""The set of emoji that moves."""


@dataclass(frozen=True, slots=True)
class MovingWords:
    """The file above; texts padded to one length, ready to be picked from by number."""

    states: Tensor  # (T, LONGEST, width) float16
    length: Tensor  # (T,)
    pooled: Tensor
    clip_texts: Tensor
    stills: Tensor
    still_style: Tensor
    still_texts: Tensor

    def to(self, device: torch.device) -> "MovingWords":
        return MovingWords(**{name: column.to(device) for name, column in asdict(self).items()})

    def told(self, texts: Tensor) -> TextCondition:
        """Of texts by their numbers, (B,), on the device that this lies on."""
        place = torch.arange(LONGEST, device=texts.device)
        hidden = torch.zeros(len(texts), LONGEST, device=texts.device)
        hidden.masked_fill_(place >= self.length[texts][:, None], -torch.inf)
        return TextCondition(self.states[texts].float(), hidden, self.pooled[texts].float())


@lru_cache(1)
def moving_words() -> MovingWords:
    """From the cache; made first if it is not there, which takes some minutes."""
    path = cache_folder() / "moving-words.safetensors"
    if not path.exists():
        part_path = path.with_suffix(".part")
        save_file(_made(), part_path)
        part_path.replace(path)
    held = load_file(path)
    states, start = held.pop("states"), held.pop("start")
    length = start.diff()
    padded = torch.zeros(len(length), LONGEST, states.shape[1], dtype=states.dtype)
    inside = torch.arange(LONGEST) < length[:, None]
    padded[inside] = states
    return MovingWords(padded, length, **held)


def texts_of(hexcode: str, plain: str, caption: str) -> list[str]:
    """Twice its name, with a keyword, and in Chinese."""
    named, chinese = names()[plain], _chinese()
    key = named.keywords[0] if named.keywords else caption
    return [caption, f"{caption}, {key}", caption, chinese.get(hexcode) or named.chinese or caption]


@lru_cache(1)
def _chinese() -> dict[str, str]:
    """Names by hexcode, those with skin tones as well."""
    data = read_json(unpack(NAMES) / "zh/data.json")
    return {
        plain_hexcode(one["hexcode"]): one["label"]
        for emoji in data
        for one in (emoji, *emoji.get("skins", ()))
    }


def _made() -> dict[str, Tensor]:
    clips, all_of = load_clips(), captioned()
    wanted = {"": 0}

    def numbers(texts: list[str]) -> list[int]:
        return [wanted.setdefault(text, len(wanted)) for text in texts]

    rows = zip(clips.hexcode, clips.plain, clips.caption, strict=True)
    clip_texts = [numbers(texts_of(*map(str, row))) for row in rows]
    still_texts = [
        numbers(texts_of(code, code, all_of.captions[concept]))
        for code, concept in zip(all_of.hexcodes, all_of.concept.tolist(), strict=True)
    ]
    return {
        **_read(list(wanted)),
        "clip_texts": torch.tensor(clip_texts),
        "stills": in_latents(Data((all_of.pictures,), ())).train[0].half().contiguous(),
        "still_style": all_of.style,
        "still_texts": torch.tensor(still_texts),
    }


def _read(texts: list[str]) -> dict[str, Tensor]:
    reader = FrozenTextTower.of(part("clip-emoji"), torch.device("cpu"))
    states, pooled, length = [], [], []
    for start in range(0, len(texts), 256):
        tokens = reader.words.table(texts[start : start + 256], LONGEST)
        told = reader.read(tokens)
        inside = tokens != 0
        states.append(told.states[inside].half())
        pooled.append(told.pooled.half())
        length += inside.sum(1).tolist()
    ends = torch.tensor([0, *length]).cumsum(0)
    return {"states": torch.cat(states), "start": ends, "pooled": torch.cat(pooled)}
