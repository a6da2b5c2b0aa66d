"""Texts to rows of a small token table, and what is told of words that have none."""

import pytest

from models.clip.tokenizer import PAD, WordTokenizer, words_in
from tests.models.families import ROWS, WORDS


def known() -> WordTokenizer:
    return WordTokenizer.of(WORDS, ROWS)


def test_a_text_begins_and_ends_and_its_words_have_open_clips_tokens() -> None:
    from open_clip.tokenizer import SimpleTokenizer

    tokenizer = known()
    read = tokenizer.read_text("A red Apple", 32)
    assert (read.rows[0], read.rows[-1]) == (ROWS - 2, ROWS - 1)
    tokens = [int(tokenizer.kept[row - 1]) for row in read.rows[1:-1]]
    assert tokens == SimpleTokenizer().encode("a red apple")
    assert not read.unknown
    assert not read.beyond


def test_unknown_words_are_left_out_and_named() -> None:
    read = known().read_text("a xylograph of red apple zyzzyva", 32)
    assert read.unknown == ("xylograph", "of", "zyzzyva")
    assert read.rows == known().read_text("a red apple", 32).rows


def test_what_is_beyond_the_context_is_named_and_nothing_is_cut_in_two() -> None:
    read = known().read_text("red apple dog", 4)
    assert len(read.rows) == 4
    assert read.beyond == ("dog",)
    assert known().read_text("", 4).rows == [ROWS - 2, ROWS - 1]


def test_a_chinese_character_is_a_word_wherever_it_stands() -> None:
    assert words_in("红苹果，a rocket99") == ["红", "苹", "果", ",", "a", "rocket", "9", "9"]
    apart, together = (known().read_text(text, 32) for text in ("红 苹 果", "红苹果"))
    assert apart == together
    assert known().read_text("红猫", 32).unknown == ("猫",)


def test_the_same_text_in_another_form_is_the_same() -> None:
    assert words_in("ＲＥＤ &amp; café") == words_in("red & café")


def test_a_table_pads() -> None:
    table = known().table(["red", ""], 6)
    assert table.tolist()[1] == [ROWS - 2, ROWS - 1, PAD, PAD, PAD, PAD]


def test_words_come_back_from_their_tensors() -> None:
    tokenizer = known()
    back = WordTokenizer.from_tensors(tokenizer.tensors())
    assert back.known == tokenizer.known
    assert back.read_text("a red dog", 32) == tokenizer.read_text("a red dog", 32)


def test_a_table_that_its_words_do_not_fill_is_refused() -> None:
    with pytest.raises(ValueError, match="rows"):
        WordTokenizer.of(WORDS, ROWS + 50)
    small = WordTokenizer.of([*WORDS, "xylograph"], ROWS)
    assert "xylograph" not in small.known
