"""Text to files: plain, or Markdown with what made it in front, as static sites have it.

Plain text is nothing but the text and its title, since whoever opens it reads all that is there.
"""

import json
from collections.abc import Callable

from models.artifacts import Chance, Text
from models.modalities import TEXT_FORMATS
from workers.encoders.types import Encoded, Facts


def text_files(text: Text, output_format: str, facts: Facts) -> tuple[Encoded, ...]:
    """The text in one of TEXT_FORMATS, and the chances of its tokens where they were asked for."""
    content_type, write = WRITERS[output_format]
    whole = Encoded(
        write(text, facts).encode(),
        content_type,
        "text",
        text=text.text,
        title=text.title,
        finish_reason=text.finish,
        prompt_tokens=text.read,
        completion_tokens=text.written,
    )
    if text.drawn is None:
        return (whole,)
    chances = [
        {
            **_chance(drawn.chance),
            "offset": drawn.offset,
            "top_logprobs": [_chance(x) for x in drawn.likeliest],
        }
        for drawn in text.drawn
    ]
    logprobs = json.dumps({"content": chances}, ensure_ascii=False)
    return whole, Encoded(logprobs.encode(), "application/json", "logprobs")


def _chance(chance: Chance) -> dict[str, object]:
    rounded = round(chance.logprob, 6)
    return {"token": chance.token, "logprob": rounded, "bytes": list(chance.raw)}


def _plain(text: Text, facts: Facts) -> str:
    title = "" if text.title is None else f"{text.title}\n\n"
    return f"{title}{text.text}\n"


def _markdown(text: Text, facts: Facts) -> str:
    """JSON is YAML too, so the facts stand in front matter as they are."""
    title = "" if text.title is None else f"# {text.title}\n\n"
    return f"---\natelier: {facts.text()}\n---\n\n{title}{text.text}\n"


Write = Callable[[Text, Facts], str]
WRITERS: dict[str, tuple[str, Write]] = dict(
    zip(
        TEXT_FORMATS,
        (("text/plain; charset=utf-8", _plain), ("text/markdown; charset=utf-8", _markdown)),
        strict=True,
    )
)
"""The content type of each format, and how it is written."""
