from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.models.families import tiny_checkpoint
from training.data.images.lexicon import Named
from training.evaluation.emoji_prompts import (
    PROMPTS,
    REQUESTED,
    UNSEEN_WORDS,
    EmojiPrompts,
    chinese_of,
    real_pictures,
)
from training.evaluation.evaluate import evaluate
from training.evaluation.evaluator import EvalOptions, EvaluationRefused, FeatureNets, Figures
from training.evaluation.report.tables import comparisons
from training.recipe import Data

CPU = torch.device("cpu")
CAPTIONS = sorted({*REQUESTED, *UNSEEN_WORDS.values(), "purple heart"})
NAMED = [
    Named(caption, ("emoji",), f"名{i}" if i % 2 else "", ()) for i, caption in enumerate(CAPTIONS)
]


class Reds:
    """A judge that reads a caption's number in the first value of a picture."""

    id = name = "reds"

    def figures(self, pictures: Tensor, label: Tensor) -> Figures:
        return {"caption_at_5": float((pictures[:, 0, 0, 0] == label).double().mean())}

    def of_real(self, data: Data) -> Figures:
        return {}


def of_captions(label: Tensor) -> Tensor:
    """Pictures that show these captions, (N, 3, 4, 4)."""
    return label.byte()[:, None, None, None].expand(-1, 3, 4, 4)


def test_forty_names_are_requested_each_once() -> None:
    assert len(set(REQUESTED)) == len(REQUESTED) == 40


def test_each_group_is_judged_by_the_captions_that_it_means() -> None:
    prompts = EmojiPrompts.of(CAPTIONS, NAMED)
    assert prompts.prompts["requested"] == list(REQUESTED)
    assert prompts.prompts["unseen_words"] == list(UNSEEN_WORDS)
    captions = [CAPTIONS[i] for i in prompts.label["unseen_words"].tolist()]
    assert captions == list(UNSEEN_WORDS.values())
    pictures = {group: of_captions(label) for group, label in prompts.label.items()}
    pictures["requested"] = of_captions(prompts.label["requested"] * torch.tensor([1, 0] * 20))
    assert prompts.figures(Reds(), pictures) == {
        "unseen_words_caption_at_5": 1.0,
        "chinese_caption_at_5": 1.0,
        "requested_caption_at_5": pytest.approx(0.5, abs=0.05),
    }


def test_chinese_names_are_asked_for_where_there_are_any() -> None:
    pairs = chinese_of(CAPTIONS, NAMED)
    assert len(pairs) == len(CAPTIONS) // 2
    assert {CAPTIONS.index(caption) for caption, _ in pairs} == set(range(1, len(CAPTIONS), 2))
    assert all(text == f"名{CAPTIONS.index(caption)}" for caption, text in pairs)


def test_a_word_that_an_emoji_is_called_is_not_unseen() -> None:
    named = [replace(NAMED[0], keywords=("small pony",)), *NAMED[1:]]
    with pytest.raises(EvaluationRefused, match="an emoji is called pony"):
        EmojiPrompts.of(CAPTIONS, named)
    with pytest.raises(EvaluationRefused, match="the reference has no pizza"):
        EmojiPrompts.of([c for c in CAPTIONS if c != "pizza"], NAMED)


def test_a_model_that_paints_no_emoji_is_refused(tmp_path: Path) -> None:
    nets = FeatureNets(Reds())  # type: ignore[arg-type]
    path = tiny_checkpoint(tmp_path, "latent_diffusion")
    with pytest.raises(EvaluationRefused, match="only a painter of emoji"):
        evaluate(path, EvalOptions(reference=PROMPTS), nets, CPU)


def test_pictures_are_judged_beside_real_ones_and_noise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    label = torch.arange(len(CAPTIONS))
    known = of_captions(label).repeat_interleave(8, 2).repeat_interleave(8, 3)
    data = Data((known, label), (known[:3], label[:3]), tuple(CAPTIONS))
    module = "training.evaluation.emoji_prompts"
    monkeypatch.setattr(f"{module}.emoji_of", lambda header: data)
    monkeypatch.setattr(f"{module}.names", lambda: dict(enumerate(NAMED)))
    monkeypatch.setattr(f"{module}.judge_of_captions", lambda captions, folder: Reds())
    monkeypatch.setattr(
        f"{module}.generate_pixels",
        lambda model, requests, seed, device: torch.full((len(requests), 3, 32, 32), 255).byte(),
    )
    path = tiny_checkpoint(tmp_path, "latent_diffusion")
    nets = FeatureNets(Reds())  # type: ignore[arg-type]
    record: Any = evaluate(path, EvalOptions(seeds=1, reference=PROMPTS), nets, CPU)
    assert record["n"] == len(REQUESTED) + len(UNSEEN_WORDS) + len(CAPTIONS) // 2
    assert record["requested_caption_at_5"]["mean"] == 0
    assert record["real"]["requested_caption_at_5"]["mean"] == 1
    assert record["real"]["nearest"]["mean"] == 0
    assert record["nearest"]["mean"] == 255 - (len(CAPTIONS) - 1)
    assert record["noise"]["nearest"]["mean"] > 50
    assert f"A picture for each of {record['n']} prompts" in comparisons([("tiny", record)])
    with pytest.raises(EvaluationRefused, match="no --n"):
        evaluate(path, EvalOptions(n=3, reference=PROMPTS), nets, CPU)


def test_a_real_picture_of_each_wanted_caption() -> None:
    label = torch.tensor([0, 1, 2, 1, 0])
    pictures = of_captions(label)
    chosen = real_pictures(pictures, label, torch.tensor([1, 0, 1]), 3)
    assert chosen[:, 0, 0, 0].tolist() == [1, 0, 1]
