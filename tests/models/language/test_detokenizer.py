"""Text as it is written: whole letters, stop strings held back, pieces that make up the text."""

import random

import pytest

from models.checkpoint.configs import LanguageTokenizer
from models.language.detokenizer import Detokenizer
from models.language.tokenizer import TENSOR, TextTokens, tensor_of
from tests.models.tiny_language import WORDS, tokenizer


@pytest.fixture(scope="module")
def text_tokens() -> TextTokens:
    return TextTokens(LanguageTokenizer.parse(WORDS), {TENSOR: tensor_of(tokenizer().to_str())})


def written(
    text_tokens: TextTokens, tokens: list[int], stops: list[str]
) -> tuple[list[str], Detokenizer]:
    draft = Detokenizer(text_tokens, text_tokens.of_text("Once "), stops)
    pieces = []
    for token in tokens:
        pieces.append(draft.add(token))
        if draft.stopped:
            return pieces, draft
    return [*pieces, draft.end()], draft


def test_half_a_letter_is_held_back(text_tokens: TextTokens) -> None:
    pieces, draft = written(text_tokens, text_tokens.of_text("é 蓝\U0001f40b!"), [])
    assert "".join(pieces) == draft.text == "é 蓝\U0001f40b!"
    assert all("\ufffd" not in piece for piece in pieces)
    assert [p for p in pieces if p] == ["é", " ", "蓝", "\U0001f40b", "!"]


def test_half_a_letter_at_the_end_is_left_out(text_tokens: TextTokens) -> None:
    tokens = text_tokens.of_text("in 蓝")[:-1]
    assert written(text_tokens, tokens, [])[1].text == "in "


def test_bytes_that_never_become_a_letter_are_told(text_tokens: TextTokens) -> None:
    (byte,) = set(text_tokens.of_text("蓝")[1:]) & set(text_tokens.of_text("蓝")[1:2])
    pieces, draft = written(text_tokens, [byte] * 9 + text_tokens.of_text("a"), [])
    assert "".join(pieces) == draft.text == "\ufffd" * 9 + "a"


def test_the_beginning_of_a_stop_string_is_held_back(text_tokens: TextTokens) -> None:
    pieces, draft = written(text_tokens, text_tokens.of_text("a STONE, STOP here"), ["STOP"])
    assert draft.stopped
    assert draft.text == "".join(pieces) == "a STONE, "
    assert pieces[2:6] == ["", "", "", "STON"]


def test_what_was_held_back_comes_at_the_end(text_tokens: TextTokens) -> None:
    pieces, draft = written(text_tokens, text_tokens.of_text("The EN"), ["END", "NO"])
    assert not draft.stopped
    assert draft.text == "".join(pieces) == "The EN"


def test_the_first_of_several_stop_strings_ends_it(text_tokens: TextTokens) -> None:
    _, draft = written(text_tokens, text_tokens.of_text("x\n\nthe end. the"), ["end", "\n\n"])
    assert (draft.text, draft.stop) == ("x", "\n\n")


@pytest.mark.parametrize(
    ("stop", "text"),
    [
        ("<|im_start|>", "one two"),
        ("two<|im_start|>", "one "),
        ("<|im_start|> th", "one two"),
        ("start", "one two"),
        ("<|endoftext|>", "one two three"),
    ],
)
def test_stop_strings_match_special_tokens(text_tokens: TextTokens, stop: str, text: str) -> None:
    tokens = [*text_tokens.of_text("one two"), 1, *text_tokens.of_text(" three")]
    pieces, draft = written(text_tokens, tokens, [stop])
    assert draft.text == "".join(pieces) == text
    assert draft.stopped is (text != "one two three")


def test_a_stop_string_matches_the_token_that_ends_a_text(text_tokens: TextTokens) -> None:
    draft = Detokenizer(text_tokens, text_tokens.of_text("x"), ["b<|im_end|>"])
    pieces = [draft.add(token) for token in text_tokens.of_text("ab")]
    assert "".join([*pieces, draft.end(2)]) == draft.text == "a"
    assert draft.stopped


def test_pieces_are_the_text_whatever_the_stops(text_tokens: TextTokens) -> None:
    chance = random.Random(1)
    for _ in range(200):
        text = "".join(chance.choices("ab蓝 ", k=30))
        stops = ["".join(chance.choices("ab蓝 ", k=chance.randrange(1, 5))) for _ in range(3)]
        pieces, draft = written(text_tokens, text_tokens.of_text(text), stops)
        ends = [(text.find(stop) + len(stop), text.find(stop)) for stop in stops if stop in text]
        end, cut = min(ends, default=(0, len(text)))
        assert draft.text == "".join(pieces) == text[:cut]
        assert draft.stop == (min(s for s in stops if text[cut:end] == s) if ends else None)
