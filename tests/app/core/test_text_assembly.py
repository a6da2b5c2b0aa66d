"""Text by events: each letter once, in order, over repeats and gaps."""

from typing import Any

import pytest

from app.core.text_assembly import ItemTexts, TextChanged


def delta(index: int, offset: int, text: str) -> tuple[str, dict[str, Any]]:
    return "delta", {"index": index, "offset": offset, "text": text}


def job(name: str, **lists: Any) -> tuple[str, dict[str, Any]]:
    return name, {"object": "job", "outputs": [], "drafts": [], **lists}


def text_of(*events: tuple[str, dict[str, Any]]) -> dict[int, str]:
    pieces, texts = ItemTexts(), dict[int, str]()
    for name, data in events:
        for index, text in pieces.take(name, data):
            texts[index] = texts.get(index, "") + text
    return texts


def test_pieces_make_up_the_text_of_each_item() -> None:
    events = [delta(0, 0, "One"), delta(1, 0, "Un"), delta(0, 3, " hen"), delta(1, 2, "e")]
    assert text_of(*events) == {0: "One hen", 1: "Une"}


def test_what_comes_twice_is_given_once() -> None:
    assert text_of(delta(0, 0, "One"), delta(0, 0, "One"), delta(0, 2, "e hen")) == {0: "One hen"}


def test_a_snapshot_brings_what_was_missed_and_later_pieces_go_on() -> None:
    late = job("status", drafts=[{"index": 0, "text": "One hen"}])
    assert text_of(late, delta(0, 3, " hen"), delta(0, 7, "s")) == {0: "One hens"}
    gap = (delta(0, 0, "One"), delta(0, 5, "en"), late)
    assert text_of(*gap) == {0: "One hen"}


def test_an_output_and_the_end_bring_the_rest() -> None:
    whole = {"index": 0, "text": "One hen.", "role": "text"}
    chances = {"index": 0, "text": None, "role": "logprobs"}
    events = [delta(0, 0, "One"), ("output", whole), ("output", chances)]
    assert text_of(*events, job("completed", outputs=[whole, chances])) == {0: "One hen."}
    assert text_of(("progress", {"step": 1})) == {}


def test_a_text_that_was_begun_anew_with_other_words_is_found_out() -> None:
    begun = [delta(0, 0, "One hen"), delta(1, 0, "Un")]
    late = job("status", drafts=[{"index": 0, "text": "One"}, {"index": 1, "text": "Une"}])
    assert text_of(*begun, late) == {0: "One hen", 1: "Une"}, "an old snapshot is no other text"
    for other in ("One owl", "One"):
        whole = {"index": 0, "text": other, "role": "text"}
        for event in (("output", whole), job("completed", outputs=[whole])):
            with pytest.raises(TextChanged):
                text_of(*begun, event)
    one = ItemTexts(only=1)
    owl = {"index": 0, "text": "One owl", "role": "text"}
    texts = [one.take(*event) for event in [*begun, ("output", owl), late, delta(1, 3, "!")]]
    assert "".join(text for pieces in texts for _, text in pieces) == "Une!", "of no other item"
    with pytest.raises(TextChanged):
        text_of(*begun, job("status", drafts=[{"index": 0, "text": "One owl"}]))
