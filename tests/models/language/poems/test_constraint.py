"""Poems keep their form whatever tokens come, and no poem gets stuck."""

import random

import numpy as np
import pytest
import torch

from models.checkpoint.configs import LanguageNet
from models.language.poems.constraint import PoemConstraint
from models.language.poems.dictionary import english
from models.language.poems.lexicon import Lexicon, Spelling, spelling_of
from models.language.tokenizer import TENSOR, TextTokens, tensor_of
from models.params.poem_forms import FormRequest
from tests.models import tiny_language
from training.metrics.text.poem_checker import faults_of

FORMS = [
    FormRequest("haiku"),
    FormRequest("limerick"),
    FormRequest("sonnet"),
    FormRequest("couplet", lines=8),
    FormRequest("acrostic", acrostic="xyzQA"),
    FormRequest("free verse", lines=3),
]
LETTERS = [chr(x) for x in (*range(97, 123), *range(65, 91))] + [" ", "\n", "'", ",", "."]


class Vocabulary:
    """A tokenizer's tokens as texts; the last one ends a text."""

    def __init__(self, texts: list[str | None]) -> None:
        self.texts = texts
        self.lexicon = Lexicon([text and spelling_of(text) for text in texts], english())

    def poem(self, form: FormRequest, seed: int) -> str:
        """A poem of tokens that are drawn from those that may come, each as likely."""
        rng, tokens, end = random.Random(seed), list[int](), len(self.texts) - 1
        constraint = PoemConstraint(self.lexicon, form.rules, {end}, len(self.texts))
        while not constraint.is_complete:
            possible = (constraint.bias() > -torch.inf).nonzero().flatten().tolist()
            assert possible, self.text(tokens)
            tokens.append(rng.choice(possible))
            constraint.add(tokens[-1])
        return self.text(tokens)

    def text(self, tokens: list[int]) -> str:
        return "".join(self.texts[token] or "" for token in tokens)


def learned() -> Vocabulary:
    """As vocabularies are that were learned from texts: most common words are tokens."""
    common = [x.text for x in english().entries if x.uses > 3000]
    texts = [*LETTERS, "...", " —", "’", "'t", "<|im_start|>", "ing", ".\n"]
    texts += [f" {text}" for text in common] + [text.title() for text in common]
    return Vocabulary([*texts, None])


def of_bytes() -> Vocabulary:
    tokenizer = tensor_of(tiny_language.tokenizer().to_str())
    net = LanguageNet.parse(tiny_language.NET)
    tokens = TextTokens(net.words, {TENSOR: tokenizer})
    return Vocabulary([*(tokens.whole_piece(i) for i in range(len(tokens))), None])


@pytest.fixture(scope="module", params=[learned, of_bytes])
def vocabulary(request: pytest.FixtureRequest) -> Vocabulary:
    return request.param()  # type: ignore[no-any-return]


@pytest.mark.parametrize("form", FORMS, ids=[form.form for form in FORMS])
def test_any_poem_keeps_its_form(vocabulary: Vocabulary, form: FormRequest) -> None:
    assert vocabulary.lexicon.can_spell
    for seed in range(3):
        text = vocabulary.poem(form, seed)
        assert not faults_of(text, form._asdict()), text


def test_a_poem_of_the_likeliest_tokens_keeps_its_form(vocabulary: Vocabulary) -> None:
    """As one that always takes the first of the tokens that may come."""
    form = FormRequest("limerick")
    constraint = PoemConstraint(vocabulary.lexicon, form.rules, set(), len(vocabulary.texts))
    tokens: list[int] = []
    while not constraint.is_complete:
        tokens.append(int(constraint.bias().argmax()))
        constraint.add(tokens[-1])
    assert not faults_of(vocabulary.text(tokens), form._asdict())


def test_a_branch_leaves_the_poem_as_it_was(vocabulary: Vocabulary) -> None:
    form = FormRequest("couplet")
    constraint = PoemConstraint(vocabulary.lexicon, form.rules, set(), len(vocabulary.texts))
    before = constraint.bias()
    branch = constraint.branch()
    while not branch.is_complete:
        branch.add(int(branch.bias().argmax()))
    assert torch.equal(constraint.bias(), before)


def test_a_rhyme_is_preferred_where_a_line_may_end() -> None:
    vocabulary = learned()
    form = FormRequest("couplet")
    constraint = PoemConstraint(vocabulary.lexicon, form.rules, set(), len(vocabulary.texts))
    number = {text: i for i, text in enumerate(vocabulary.texts)}
    for text in ["The", " stars", " are", " bright", " and", " cold", " this", " night", "\n"]:
        assert constraint.bias()[number[text]] > -torch.inf, text
        constraint.add(number[text])
    for text in ["The", " moon", " is", " over", " us", " and"]:
        constraint.add(number[text])
    bias = constraint.bias()
    assert bias[number[" light"]] > bias[number[" day"]] == 0
    assert bias[number[" night"]] == 0  # it has ended a line: here it can only go on


def test_tokens_that_no_poem_has_are_none() -> None:
    assert spelling_of("’s") == Spelling("core", "'s")
    assert spelling_of(" Moon") == Spelling("core", "Moon", gap=True)
    assert spelling_of(" —") == Spelling("mark", " —", gap=True)
    for text in ("1", "\n\n", "é", " (", "", "moon light", '"', "雨"):
        assert spelling_of(text) is None


def test_reach_is_the_union_over_all_words_behind_a_token(vocabulary: Vocabulary) -> None:
    lexicon = vocabulary.lexicon
    reached = lexicon.plain.reach(lexicon.counts)
    for index in range(0, len(lexicon.plain.ids), 97):
        start, end = lexicon.plain.starts[index], lexicon.plain.ends[index]
        expected = int(np.bitwise_or.reduce(lexicon.counts[start:end], initial=0))
        assert reached[index] == expected


def test_a_tokenizer_without_letters_can_not_spell() -> None:
    assert not Vocabulary(["the", " moon", "\n", "."]).lexicon.can_spell
    assert not Vocabulary(["蓝", None]).lexicon.can_spell


def test_the_judge_of_poems_finds_faults() -> None:
    haiku = "The moon's silver glow,\nAs leaves fall, they're lost in time.\nA moment I'll hold."
    assert not faults_of(haiku, {"form": "haiku"})
    assert faults_of(haiku.replace("silver ", ""), {"form": "haiku"})
    assert faults_of(haiku.replace("hold", "xyzzy"), {"form": "haiku"})
    assert faults_of("One line alone.", {"form": "haiku"}) == ["1 lines instead of 3"]
    pair = "A story of bread that was baked by the sea,\nA story of salt that was sent home to me."
    assert not faults_of(pair, {"form": "couplet"})
    assert faults_of(pair.replace("to me", "to us"), {"form": "couplet"}) == [
        "sea and us don't rhyme"
    ]
    assert faults_of("\n\n", {"form": "acrostic", "acrostic": "AB"})
