"""How well a CLIP finds the words of a picture, and the picture of words, among those held out."""

import torch
from pydantic import JsonValue
from torch import Tensor
from torch.nn import functional as F

from models.checkpoint.header import Header
from models.checkpoint.weights import Checkpoint
from models.nets.clip import see
from training.data.images.captions import Captioned, captioned
from training.data.images.lexicon import names
from training.pretrained import FrozenTextTower
from training.recipe import Data

ROWS = 128
GROUPS = {  # what a group of emojibase's holds, in plain words: their mean stands for the group
    "activities": "sport, game, ball, art, celebration, medal, music",
    "animals-nature": "animal, bird, fish, insect, plant, flower, tree",
    "flags": "flag, flag of a country, national flag",
    "food-drink": "food, drink, fruit, vegetable, meal, dessert",
    "objects": "object, tool, clothing, book, phone, office, household",
    "people-body": "person, man, woman, hand, family, people, body part",
    "smileys-emotion": "face, smiley, emotion, heart, cat face",
    "symbols": "symbol, sign, arrow, button, letter, shape",
    "travel-places": "vehicle, building, place, weather, clock, transport, sky",
}


def measure_matching(card: Header, weights: dict[str, Tensor], data: Data) -> dict[str, JsonValue]:
    """Recall at 1 and 5 both ways over held-out captions, in both languages, and the accuracy of
    naming the group of a held-out picture, each beside what chance gives."""
    reader = FrozenTextTower.of(Checkpoint(card, weights, ""), torch.device("cpu"))
    every = captioned()
    pictures, concept = data.test[0], data.test[1]
    seen = seen_by(reader, pictures)
    held = torch.tensor(sorted(set(concept.tolist())))
    right = torch.searchsorted(held, concept)  # the row of each picture's caption
    english = [every.captions[i] for i in held.tolist()]
    chinese = [_chinese(every, i) for i in held.tolist()]
    groups = torch.tensor([_group(every, c) for c in concept.tolist()])
    told = torch.stack([read_by(reader, text.split(", ")).mean(0) for text in GROUPS.values()])
    told = F.normalize(told, dim=1)
    named = (seen @ told.T).argmax(1) == groups
    return {
        "held_out_captions": len(held),
        "held_out_pictures": len(pictures),
        "english": recalls(seen, read_by(reader, english), right),
        "chinese": recalls(seen, read_by(reader, chinese), right),
        "chance": chances(right, len(held)),
        "group_accuracy": round(named.float().mean().item(), 4),
        "group_accuracy_of_the_commonest": round(groups.bincount().max().item() / len(groups), 4),
    }


@torch.no_grad()
def seen_by(reader: FrozenTextTower, pictures: Tensor) -> Tensor:
    """uint8 pictures (N, 3, H, W) -> (N, embed_dim), of length 1."""
    parts = (part.float().div(127.5).sub(1) for part in torch.split(pictures, ROWS))
    return torch.cat([see(reader.net, part) for part in parts])


def read_by(reader: FrozenTextTower, texts: list[str]) -> Tensor:
    """(N, embed_dim), of length 1."""
    tokens = reader.words.table(texts, reader.context)
    return torch.cat([reader.read(part).pooled for part in torch.split(tokens, ROWS)])


def recalls(seen: Tensor, told: Tensor, right: Tensor) -> dict[str, JsonValue]:
    """seen (N, D) pictures, told (K, D) captions, right (N,): the caption of each picture.

    A caption has found its picture if any of its own is among the first.
    """
    alike = seen @ told.T  # (N, K)
    own = right[:, None] == torch.arange(len(told))
    result: dict[str, JsonValue] = {}
    for name, scores, good in (("to_text", alike, own), ("to_picture", alike.T, own.T)):
        order = scores.argsort(1, descending=True)
        hits = good.gather(1, order)
        for k in (1, 5):
            result[f"{name}_at_{k}"] = round(hits[:, :k].any(1).float().mean().item(), 4)
    return result


def chances(right: Tensor, captions: int) -> dict[str, JsonValue]:
    """What an order at random finds: k of K captions, and any of a caption's c of N pictures."""
    count = len(right)
    result: dict[str, JsonValue] = {f"to_text_at_{k}": round(k / captions, 4) for k in (1, 5)}
    each = right.bincount(minlength=captions).double()
    for k in (1, 5):
        missed = torch.ones_like(each)
        for i in range(k):
            missed *= ((count - each - i) / (count - i)).clamp(min=0)
        result[f"to_picture_at_{k}"] = round((1 - missed).mean().item(), 4)
    return result


def _chinese(every: Captioned, concept: int) -> str:
    row = int((every.concept == concept).nonzero()[0])
    named = names()[every.hexcodes[row]]
    return named.chinese or named.caption


def _group(every: Captioned, concept: int) -> int:
    """Its place in GROUPS."""
    return list(GROUPS).index(every.groups[int(every.group[every.concept == concept][0])])
