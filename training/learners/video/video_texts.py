"""The texts of moving emoji, encoded by CLIP once, and still emoji to learn from too.

They are one safetensors file in the cache, so that a training needs neither CLIP nor emojibase:

    states        (S, width) float16    every token of every text, by the text tower
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
from training.data.cache import cache_folder
from training.data.images.captions import captioned
from training.data.images.emoji_build import NAMES, plain_hexcode, read_json, unpack
from training.data.images.lexicon import STYLES, names
from training.data.video.clips import load_clips
from training.loop.run_folder import write_whole
from training.pretrained import in_latents, load_text_tower
from training.recipe import Data

LONGEST = 24  # tokens
STYLE = STYLES.index("fluent-3d")
"""The set of emoji that moves."""


@dataclass(frozen=True, slots=True)
class VideoTexts:
    """The file above; texts padded to one length, ready to be picked from by number."""

    states: Tensor  # (T, LONGEST, width) float16
    length: Tensor  # (T,)
    pooled: Tensor
    clip_texts: Tensor
    stills: Tensor
    still_style: Tensor
    still_texts: Tensor

    def to(self, device: torch.device) -> "VideoTexts":
        return VideoTexts(**{name: column.to(device) for name, column in asdict(self).items()})

    def condition(self, texts: Tensor) -> TextCondition:
        """Returns the condition of texts by their numbers, (B,)."""
        index = torch.arange(LONGEST, device=texts.device)
        hidden = torch.zeros(len(texts), LONGEST, device=texts.device)
        hidden.masked_fill_(index >= self.length[texts][:, None], -torch.inf)
        return TextCondition(self.states[texts].float(), hidden, self.pooled[texts].float())


@lru_cache(1)
def video_texts() -> VideoTexts:
    """Returns the texts from the cache, or encodes them first, which takes some minutes."""
    path = cache_folder() / "moving-words.safetensors"
    if not path.exists():
        write_whole(path, lambda temporary: save_file(_encode_all(), temporary))
    columns = load_file(path)
    states, start = columns.pop("states"), columns.pop("start")
    length = start.diff()
    padded = torch.zeros(len(length), LONGEST, states.shape[1], dtype=states.dtype)
    inside = torch.arange(LONGEST) < length[:, None]
    padded[inside] = states
    return VideoTexts(padded, length, **columns)


def texts_of(hexcode: str, plain: str, caption: str) -> list[str]:
    """Returns its name, its name with a keyword, its name again, and its name in Chinese."""
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


def _encode_all() -> dict[str, Tensor]:
    clips, stills = load_clips(), captioned()
    numbers = {"": 0}

    def numbered(texts: list[str]) -> list[int]:
        return [numbers.setdefault(text, len(numbers)) for text in texts]

    rows = zip(clips.hexcode, clips.plain, clips.caption, strict=True)
    clip_texts = [numbered(texts_of(*map(str, row))) for row in rows]
    still_texts = [
        numbered(texts_of(code, code, stills.captions[concept]))
        for code, concept in zip(stills.hexcodes, stills.concept.tolist(), strict=True)
    ]
    return {
        **_encode(list(numbers)),
        "clip_texts": torch.tensor(clip_texts),
        "stills": in_latents(Data((stills.pictures,), ())).train[0].half().contiguous(),
        "still_style": stills.style,
        "still_texts": torch.tensor(still_texts),
    }


def _encode(texts: list[str]) -> dict[str, Tensor]:
    text_tower = load_text_tower(torch.device("cpu"))
    states, pooled, length = [], [], []
    for start in range(0, len(texts), 256):
        tokens = text_tower.tokenizer.table(texts[start : start + 256], LONGEST)
        cond = text_tower.encode(tokens)
        inside = tokens != 0
        states.append(cond.states[inside].half())
        pooled.append(cond.pooled.half())
        length += inside.sum(1).tolist()
    ends = torch.tensor([0, *length]).cumsum(0)
    return {"states": torch.cat(states), "start": ends, "pooled": torch.cat(pooled)}
