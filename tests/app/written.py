"""What a worker that writes is asked for in tests, in OpenAI's words."""

from typing import Any

from tests.app.studio import WRITER

TURNS: list[Any] = [
    {"role": "developer", "content": "You are kind."},
    {"role": "user", "content": [{"type": "text", "text": "Tell me of the sea."}]},
]
CHAT: dict[str, Any] = {"model": WRITER, "messages": TURNS, "max_tokens": 12, "seed": 3}
TEXT: dict[str, Any] = {"model": WRITER, "prompt": "the ant ran", "max_tokens": 12, "seed": 3}
