"""Text to files: plain, or Markdown with what made it in front, as static sites have it.

Plain text is nothing but the text and its title, since whoever opens it reads all that is there.
"""

import json
from collections.abc import Callable, Sequence

from models.artifacts import Chance, Drawn, Text
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
        stop_sequence=text.stop_sequence,
        prompt_tokens=text.read,
        completion_tokens=text.written,
    )
    if text.drawn is None:
        return (whole,)
    chances = {"content": _chances(text.drawn)}
    if text.prompt_drawn is not None:
        chances["prompt"] = _chances(text.prompt_drawn)
    logprobs = json.dumps(chances, ensure_ascii=False)
    return whole, Encoded(logprobs.encode(), "application/json", "logprobs")


def _chances(tokens: Sequence[Drawn]) -> list[dict[str, object]]:
    return [
        {
            **_chance(drawn.chance),
            "offset": drawn.offset,
            "top_logprobs": [_chance(x) for x in drawn.likeliest],
        }
        for drawn in tokens
    ]


def _chance(chance: Chance) -> dict[str, object]:
    rounded = None if chance.logprob is None else round(chance.logprob, 6)
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
