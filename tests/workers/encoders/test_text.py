"""Text in files: what a reader sees, what made it, and the chances of its tokens."""

import json

from models.artifacts import Chance, Drawn, Text
from workers.encoders.encode import encode
from workers.encoders.types import Facts

FACTS = Facts("tiny", "ab" * 32, {"prompt": 'a "hen"\n# 3'}, 7)
TEXT = Text("Once, a hen.\n\nThe end.", 12, 9, "stop", "The Hen")


def test_plain_text_is_the_title_and_the_text() -> None:
    (file,) = encode(TEXT, "txt", FACTS)
    assert file.data == b"The Hen\n\nOnce, a hen.\n\nThe end.\n"
    assert (file.content_type, file.role) == ("text/plain; charset=utf-8", "text")
    assert (file.text, file.title, file.finish_reason) == (TEXT.text, "The Hen", "stop")
    assert (file.prompt_tokens, file.completion_tokens) == (12, 9)
    assert file.stop_sequence is None
    (bare,) = encode(Text("é", 1, 1, "length"), "txt", FACTS)
    assert bare.data == "é\n".encode()


def test_markdown_has_what_made_it_in_front() -> None:
    (file,) = encode(TEXT, "md", FACTS)
    _, front, body = file.data.decode().split("---\n")
    assert body == "\n# The Hen\n\nOnce, a hen.\n\nThe end.\n"
    name, _, value = front.partition(": ")
    assert name == "atelier"
    assert json.loads(value)["params"] == {"prompt": 'a "hen"\n# 3'}
    assert (file,) == encode(TEXT, "md", FACTS)


def test_chances_are_a_file_of_their_own() -> None:
    likely, less = Chance(" hen", -0.25, b" hen"), Chance("蓝", -1.5, "蓝".encode())
    text = Text(" hen", 1, 1, "length", drawn=(Drawn(likely, 0, (likely, less)),))
    _, chances = encode(text, "txt", FACTS)
    assert (chances.role, chances.content_type) == ("logprobs", "application/json")
    (token,) = json.loads(chances.data)["content"]
    assert token["logprob"] == -0.25
    assert token["bytes"] == list(b" hen")
    assert token["top_logprobs"][1] == {"token": "蓝", "logprob": -1.5, "bytes": [232, 147, 157]}
