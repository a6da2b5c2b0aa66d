"""How well a CLIP retrieves held-out captions by image and images by caption."""

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
GROUPS = {  # prompts of emojibase's groups; the mean of their vectors stands for the group
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


def measure_retrieval(card: Header, weights: dict[str, Tensor], data: Data) -> dict[str, JsonValue]:
    """Measures recall at 1 and 5 in both directions over held-out captions, in both languages, and
    the accuracy of zero-shot classification by group, each beside chance."""
    clip = FrozenTextTower.of(Checkpoint(card, weights, ""), torch.device("cpu"))
    known = captioned()
    pictures, concept = data.test[0], data.test[1]
    images = embed_images(clip, pictures)
    held_out = torch.tensor(sorted(set(concept.tolist())))
    target = torch.searchsorted(held_out, concept)  # the row of each picture's caption
    english = [known.captions[i] for i in held_out.tolist()]
    chinese = [_chinese(known, i) for i in held_out.tolist()]
    groups = torch.tensor([_group(known, c) for c in concept.tolist()])
    prompts = [embed_texts(clip, text.split(", ")).mean(0) for text in GROUPS.values()]
    texts = F.normalize(torch.stack(prompts), dim=1)
    correct = (images @ texts.T).argmax(1) == groups
    return {
        "held_out_captions": len(held_out),
        "held_out_pictures": len(pictures),
        "english": recall(images, embed_texts(clip, english), target),
        "chinese": recall(images, embed_texts(clip, chinese), target),
        "chance": chances(target, len(held_out)),
        "group_accuracy": round(correct.float().mean().item(), 4),
        "group_accuracy_of_the_commonest": round(groups.bincount().max().item() / len(groups), 4),
    }


@torch.no_grad()
def embed_images(clip: FrozenTextTower, images: Tensor) -> Tensor:
    """uint8 images (N, 3, H, W) -> (N, embed_dim), of length 1."""
    batches = (batch.float().div(127.5).sub(1) for batch in torch.split(images, ROWS))
    return torch.cat([see(clip.net, batch) for batch in batches])


def embed_texts(clip: FrozenTextTower, texts: list[str]) -> Tensor:
    """Returns (N, embed_dim), of length 1."""
    tokens = clip.tokenizer.table(texts, clip.context)
    return torch.cat([clip.encode(batch).pooled for batch in torch.split(tokens, ROWS)])


def recall(images: Tensor, texts: Tensor, target: Tensor) -> dict[str, JsonValue]:
    """Returns recall at 1 and 5 of images (N, D), texts (K, D) and each image's text, target (N,).

    A text counts as found if any of its images is among the first.
    """
    alike = images @ texts.T  # (N, K)
    own = target[:, None] == torch.arange(len(texts))
    result: dict[str, JsonValue] = {}
    for name, scores, good in (("to_text", alike, own), ("to_picture", alike.T, own.T)):
        order = scores.argsort(1, descending=True)
        hits = good.gather(1, order)
        for k in (1, 5):
            result[f"{name}_at_{k}"] = round(hits[:, :k].any(1).float().mean().item(), 4)
    return result


def chances(target: Tensor, captions: int) -> dict[str, JsonValue]:
    """Returns the recall of a random order."""
    count = len(target)
    result: dict[str, JsonValue] = {f"to_text_at_{k}": round(k / captions, 4) for k in (1, 5)}
    each = target.bincount(minlength=captions).double()
    for k in (1, 5):
        missed = torch.ones_like(each)
        for i in range(k):
            missed *= ((count - each - i) / (count - i)).clamp(min=0)
        result[f"to_picture_at_{k}"] = round((1 - missed).mean().item(), 4)
    return result


def _chinese(known: Captioned, concept: int) -> str:
    row = int((known.concept == concept).nonzero()[0])
    named = names()[known.hexcodes[row]]
    return named.chinese or named.caption


def _group(known: Captioned, concept: int) -> int:
    """Returns the index in GROUPS."""
    return list(GROUPS).index(known.groups[int(known.group[known.concept == concept][0])])
