"""Measures a painter of emoji by what it is asked for: frequent names, new words, and Chinese.

It also measures how near its pictures come to those that were learnt from. No features are needed.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from pydantic import JsonValue
from torch import Tensor

from models.checkpoint.header import Header
from models.clip.tokenizer import words_in
from models.engine.noise import seeded
from training.data.images.lexicon import Named, names
from training.evaluation.evaluator import (
    Evaluation,
    EvaluationRefused,
    Figures,
    Task,
    requests_of,
)
from training.evaluation.image import takes_prompt
from training.evaluation.judges import Judge, judge_of_captions
from training.evaluation.reference import reference_of
from training.generate import generate_pixels
from training.metrics.image.nearest import nearest_pictures
from training.recipe import Data

REQUESTED = (
    *("face with tears of joy", "red heart", "rolling on the floor laughing", "thumbs up"),
    *("loudly crying face", "folded hands", "face blowing a kiss", "smiling face with hearts"),
    *("smiling face with heart-eyes", "smiling face with smiling eyes", "party popper"),
    *("beaming face with smiling eyes", "two hearts", "pleading face"),
    *("grinning face with sweat", "fire", "smiling face", "person facepalming", "heart suit"),
    *("person shrugging", "dog face", "cat face", "panda", "unicorn", "butterfly", "red apple"),
    *("pizza", "hamburger", "ice cream", "birthday cake", "hot beverage", "sun", "rainbow"),
    *("star", "rocket", "automobile", "house", "guitar", "soccer ball", "crown"),
)
"""The 40 names that people are taken to ask for most: the 20 emoji most used in 2021 by the
Unicode Consortium's count, and 20 everyday things, of which no count is known."""
UNSEEN_WORDS: Mapping[str, str] = {
    "noodles": "steaming bowl",
    "cottage": "house",
    "oak": "deciduous tree",
    "hen": "chicken",
    "pony": "horse face",
    "calf": "cow face",
    "hog": "pig",
    "hare": "rabbit face",
    "salmon": "fish",
    "trout": "fish",
    "champagne": "bottle with popping cork",
    "novel": "closed book",
    "sofa": "couch and lamp",
    "hound": "dog face",
    "fortress": "castle",
    "blaze": "fire",
    "phantom": "ghost",
    "android": "robot",
}
"""Words that no name and no keyword of an emoji has, each with the name of what it means."""
PROMPTS = "prompts"
"""The reference that asks for this evaluation."""
EMOJI = "emoji"  # the data whose labels are the captions of all emoji
CHINESE = 60  # captions that are asked for in Chinese
GROUPS = ("unseen_words", "chinese", "requested")


@dataclass(frozen=True, slots=True)
class EmojiPrompts:
    """Prompts by group, each with the number (N,) of the caption that its picture should show."""

    prompts: Mapping[str, list[str]]
    label: Mapping[str, Tensor]

    @classmethod
    def of(cls, captions: Sequence[str], named: Collection[Named]) -> "EmojiPrompts":
        """Raises EvaluationRefused if a caption is missing, or a word isn't unseen."""
        index = {caption: number for number, caption in enumerate(captions)}
        chinese = chinese_of(captions, named)
        pairs = {
            "unseen_words": list(UNSEEN_WORDS.items()),
            "chinese": [(text, caption) for caption, text in chinese],
            "requested": [(caption, caption) for caption in REQUESTED],
        }
        shown = {caption for group in pairs.values() for _, caption in group}
        if missing := sorted(shown - index.keys()):
            raise EvaluationRefused(f"the reference has no {missing[0]}")
        known = {word for one in named for text in _texts(one) for word in words_in(text)}
        if seen := sorted(known & UNSEEN_WORDS.keys()):
            raise EvaluationRefused(f"an emoji is called {seen[0]}, so the word is not unseen")
        return cls(
            {group: [prompt for prompt, _ in pairs[group]] for group in GROUPS},
            {group: torch.tensor([index[c] for _, c in pairs[group]]) for group in GROUPS},
        )

    @classmethod
    def built(cls, captions: Sequence[str]) -> "EmojiPrompts":
        """From the names that emojibase has. Raises DataMissing."""
        return cls.of(captions, names().values())

    def figures(self, judge: Judge, pictures: Mapping[str, Tensor]) -> Figures:
        """Judges the pictures of each group, (N, 3, H, W) uint8."""
        return {
            f"{group}_{name}": value
            for group in GROUPS
            for name, value in judge.figures(pictures[group], self.label[group]).items()
        }


@dataclass(frozen=True, slots=True)
class PromptComparison:
    """Prompts, all emoji with their captions, and the judge of captions."""

    prompts: EmojiPrompts
    emoji: Data
    judge: Judge

    def figures(self, pictures: Mapping[str, Tensor]) -> Figures:
        return self.prompts.figures(self.judge, pictures) | {
            "nearest": self._nearest(torch.cat([pictures[group] for group in GROUPS]))
        }

    def real(self, seed: int) -> Figures:
        """Judges training pictures of the same captions.

        `nearest` is that of the held-out pictures: how near a picture is that is no copy.
        """
        known, label = self.emoji.train[:2]
        pictures = {
            group: real_pictures(known, label, wanted, seed)
            for group, wanted in self.prompts.label.items()
        }
        nearest = self._nearest(self.emoji.test[0])
        return self.prompts.figures(self.judge, pictures) | {"nearest": nearest}

    def noise(self, seed: int) -> Figures:
        rng, shape = seeded(seed), self.emoji.train[0].shape[1:]
        return self.figures(
            {
                group: torch.randint(0, 256, (len(label), *shape), generator=rng).byte()
                for group, label in self.prompts.label.items()
            }
        )

    def _nearest(self, pictures: Tensor) -> float:
        return float(nearest_pictures(pictures, self.emoji.train[0])[0].mean())


def evaluate_prompts(task: Task) -> Evaluation:
    """Prepares an evaluation of one picture for each prompt. `n` of the options must be None."""
    emoji = emoji_of(task.header)
    if emoji is None:
        raise EvaluationRefused(f"only a painter of emoji is measured by {PROMPTS}")
    if task.options.n is not None or "prompt" in task.options.params:
        raise EvaluationRefused("every prompt is asked for once: no --n, and no prompt")
    judge = judge_of_captions(list(emoji.labels), task.checkpoints)
    if judge is None:
        raise EvaluationRefused("there is no judge of captions beside the checkpoint")
    prompts = EmojiPrompts.built(emoji.labels)
    comparison = PromptComparison(prompts, emoji, judge)
    requests = {
        group: requests_of(task.header, task.options.params, [{"prompt": text} for text in texts])
        for group, texts in prompts.prompts.items()
    }
    about: dict[str, JsonValue] = {
        "n": sum(map(len, requests.values())),
        "reference": PROMPTS,
        "held_out": len(emoji.test[0]),
        "features": "captions",
        "judge": judge.id,
    }
    return Evaluation(
        about,
        model=lambda seed: comparison.figures(
            {g: generate_pixels(task.model, r, seed, task.device) for g, r in requests.items()}
        ),
        real=comparison.real,
        noise=comparison.noise,
    )


def emoji_of(header: Header) -> Data | None:
    """Returns all emoji with their captions, if the model has learnt to paint them from words."""
    if not takes_prompt(header):
        return None
    try:
        reference = reference_of(header, None, (0, 0))  # those of a recipe have their size
    except EvaluationRefused:
        return None
    return reference.data if reference.name == EMOJI else None


def chinese_of(captions: Sequence[str], named: Collection[Named]) -> list[tuple[str, str]]:
    """Returns captions with their Chinese names, CHINESE of them at most, in a shuffled order."""
    chinese = {one.caption: one.chinese for one in named if one.chinese}
    known = [caption for caption in captions if caption in chinese]
    order = torch.randperm(len(known), generator=seeded(0)).tolist()[:CHINESE]
    return [(known[i], chinese[known[i]]) for i in order]


def real_pictures(pictures: Tensor, label: Tensor, wanted: Tensor, seed: int) -> Tensor:
    """Returns a picture of each wanted caption among pictures (N, C, H, W) with labels (N,)."""
    rng = seeded(seed)
    rows = []
    for number in wanted.tolist():
        own = (label == number).nonzero().flatten()
        rows.append(int(own[torch.randint(len(own), (1,), generator=rng)]))
    return pictures[rows]


def _texts(named: Named) -> tuple[str, ...]:
    return (named.caption, *named.keywords)
