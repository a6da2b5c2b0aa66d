"""Words in training: the losses of CLIP, who judges captions, and which prompts are asked for."""

import math
from functools import lru_cache

import pytest
import torch

from models.checkpoint.header import Header
from models.checkpoint.weights import Checkpoint
from models.clip.tokenizer import WordTokenizer
from models.nets.clip import build_clip
from tests.models.families import CLIP, ROWS, WORDS
from training.evaluation.evaluator import EvaluationRefused
from training.evaluation.image import image_requests
from training.evaluation.judges import CaptionJudge
from training.evaluation.report.prompts import KNOWN, UNSEEN, folded, titled
from training.learners.clip import both_ways, moved, trimmed
from training.metrics.image.clip_retrieval import chances, embed_texts, recall
from training.metrics.image.psnr import psnr
from training.pretrained import FrozenTextTower
from training.recipe import Data

CPU = torch.device("cpu")


@lru_cache(1)
def reader() -> FrozenTextTower:
    torch.manual_seed(0)
    net = build_clip(**CLIP).eval()
    tensors = net.state_dict() | WordTokenizer.of(WORDS, ROWS).tensors()
    return FrozenTextTower.of(Checkpoint(Header(family="clip", net=CLIP), tensors, ""), CPU)


def test_the_contrast_of_pairs_is_cross_entropy_both_ways() -> None:
    logits = torch.randn(5, 5, generator=torch.Generator().manual_seed(0))
    right = torch.arange(5)
    plain = torch.nn.functional.cross_entropy
    expected = (plain(logits, right) + plain(logits.T, right)) / 2
    assert torch.allclose(both_ways(logits, torch.eye(5)), expected)


def test_several_of_a_caption_share_what_is_right() -> None:
    same = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    even = torch.zeros(3, 3)
    assert both_ways(even, same).item() == pytest.approx(math.log(3))
    sure = 30 * same
    assert both_ways(sure, same).item() == pytest.approx(math.log(2) * 2 / 3, abs=1e-4)


def test_what_moves_in_is_white_and_nothing_moves_far() -> None:
    black = torch.zeros(8, 3, 16, 16, dtype=torch.uint8)
    x = moved(black, torch.Generator().manual_seed(1))
    assert x.shape == black.shape
    assert torch.allclose(x[:, :, 4:12, 4:12], torch.tensor(-1.0), atol=1e-5)
    assert x.max() > 0.5
    assert x.min() >= -1.0001


def test_columns_that_only_pad_are_cut_off() -> None:
    assert trimmed(torch.tensor([[5, 6, 0, 0], [5, 6, 7, 0]])).tolist() == [[5, 6, 0], [5, 6, 7]]


def test_a_reader_hides_what_only_pads() -> None:
    known = reader()
    tokens = known.tokenizer.table(["red apple", "dog"], 8)
    texts = known.encode(tokens)
    assert torch.equal(torch.isinf(texts.hidden), tokens == 0)
    alone = known.encode(trimmed(tokens[1:]))
    assert torch.allclose(texts.pooled[1], alone.pooled[0], atol=1e-6)


def test_recalls_and_what_chance_gives() -> None:
    """Six pictures of three captions; every picture is nearest to the next caption."""
    texts, right = torch.eye(3), torch.tensor([0, 0, 1, 1, 2, 2])
    perfect = recall(texts[right], texts, right)
    assert set(perfect.values()) == {1.0}
    wrong = recall(texts[(right + 1) % 3], texts, right)
    assert (wrong["to_text_at_1"], wrong["to_text_at_5"]) == (0.0, 1.0)
    assert (wrong["to_picture_at_1"], wrong["to_picture_at_5"]) == (0.0, 1.0)
    by_chance = chances(right, 3)
    assert by_chance["to_text_at_1"] == pytest.approx(1 / 3, abs=1e-4)
    assert by_chance["to_picture_at_1"] == pytest.approx(1 / 3, abs=1e-4)
    assert by_chance["to_picture_at_5"] == 1.0


def test_a_judge_of_captions_counts_those_that_are_likelier() -> None:
    known = reader()
    pictures = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    from training.metrics.image.clip_retrieval import embed_images

    seen = embed_images(known, pictures)
    others = torch.nn.functional.normalize(torch.randn(20, 16), dim=1)
    judge = CaptionJudge("j", known, torch.cat([seen[:2], others]))
    said = judge.figures(pictures[:2], torch.tensor([0, 1]))
    assert said["caption_at_5"] == 1.0
    assert said["caption_likeness"] == pytest.approx(1.0, abs=1e-5)
    order = (seen @ judge.texts.T).argsort(1)
    worst = judge.figures(pictures, order[:, 0])
    assert (worst["caption_at_1"], worst["caption_at_5"]) == (0.0, 0.0)
    assert embed_texts(known, ["red", "dog"]).shape == (2, 16)


def test_a_model_that_takes_words_is_asked_for_what_was_learnt() -> None:
    header = Header(family="latent_diffusion", net={})
    data = Data((torch.zeros(3, 3, 8, 8), torch.tensor([2, 0, 2])), (), ("apple", "bear", "cactus"))
    asked = image_requests(header, {"steps": 3}, 4, data)
    assert sorted(p.prompt for p in asked.params[:2]) == ["apple", "cactus"]  # type: ignore[attr-defined]
    assert asked.label is not None
    assert [data.labels[k] for k in asked.label] == [p.prompt for p in asked.params]  # type: ignore[attr-defined]
    own = image_requests(header, {"prompt": "dog"}, 2, data)
    assert (own.label, own.params[1].prompt) == (None, "dog")  # type: ignore[attr-defined]
    with pytest.raises(EvaluationRefused, match="no captions"):
        image_requests(header, {}, 2, Data(data.train, (), ()))


def test_the_psnr_of_a_known_error() -> None:
    clean = torch.zeros(2, 3, 4, 4)
    assert psnr(clean + 0.1, clean) == pytest.approx(20.0)
    assert psnr(clean, clean) == pytest.approx(100.0)


def test_prompts_to_look_at_have_a_title_below_each_picture() -> None:
    assert (len(set(KNOWN)), len(set(UNSEEN))) == (64, 32)
    assert folded("smiling face with sunglasses") == ["smiling face with", "sunglasses"]
    assert all(len(folded(title)) <= 2 for title in (*KNOWN, *UNSEEN))
    page = titled(torch.zeros(3, 3, 64, 64, dtype=torch.uint8), ["a", "b", "紫色的苹果"], 2)
    assert page.size == (224, 192)
    assert page.getpixel((56, 10)) == (0, 0, 0)
    assert page.crop((0, 64, 112, 90)).getextrema()[0][0] < 100
