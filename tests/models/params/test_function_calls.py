"""Calls in the text of an answer are separated from its content, however its pieces are cut."""

import random

import pytest

from models.params.function_calls import (
    CallPiece,
    ContentPiece,
    ToolCallParser,
    ToolCallText,
    split_calls,
)

CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "</tool_call> <Ulm>"}}\n</tool_call>'
NOW = '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>'
CITY = ToolCallText("weather", '{"city": "</tool_call> <Ulm>"}')


@pytest.mark.parametrize(
    ("text", "content", "calls"),
    [
        ("It rains. ", "It rains. ", []),
        ("", "", []),
        (CALL, "", [CITY]),
        (f"Let me see.\n\n{CALL}\n{NOW}", "Let me see.", [CITY, ToolCallText("now", "{}")]),
        ("a < b and <tool_call", "a < b and <tool_call", []),
        ('<tool_call>\n{"name": "wea', "", []),
        ('Wait. <tool_call>\n{"name": "f", "arg', "Wait.", []),
        ('<tool_call>\n{"name": "f", "arguments": {"a": 1', "", [ToolCallText("f", '{"a": 1')]),
        ('<tool_call>\n{"name": "f", "arguments": {"a": 1}', "", [ToolCallText("f", '{"a": 1')]),
    ],
)
def test_content_and_calls_are_told_apart(
    text: str, content: str, calls: list[ToolCallText]
) -> None:
    assert split_calls(text) == (content, calls)


@pytest.mark.parametrize("seed", range(20))
def test_pieces_add_up_to_the_whole_however_they_are_cut(seed: int) -> None:
    chance = random.Random(seed)
    text = f"I look.  \n{CALL}\n{NOW}"
    cuts = sorted(chance.sample(range(len(text)), 12))
    parser, content, names, arguments = ToolCallParser(), "", list[str](), ["", ""]
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    for piece in [*(x for p in pieces for x in parser.take(p)), *parser.end()]:
        match piece:
            case ContentPiece():
                content += piece.text
                assert not names, "content comes first"
            case CallPiece(number=number, name=name, arguments=more):
                names += [] if name is None else [name]
                arguments[number] += more
    assert (content, names) == ("I look.", ["weather", "now"])
    assert arguments == [CITY.arguments, "{}"]


def test_content_is_held_back_no_longer_than_it_may_be_a_mark() -> None:
    parser = ToolCallParser()
    assert parser.take("It rains <") == [ContentPiece("It rains")]
    assert parser.take("b> now") == [ContentPiece(" <b> now")]
