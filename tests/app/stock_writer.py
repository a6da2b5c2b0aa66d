"""What a stock openai client does with us for text, of whatever version is importable; prints it.

`python stock_writer.py URL MODEL` needs nothing but that package and Python, so that a test can run
it with another version than its own.
"""

import json
import sys
from typing import Any

import openai


def tried(url: str, model: str) -> dict[str, Any]:
    """A chat whole, again and as it is written; a completion that stops; three kinds of errors."""
    said = [{"role": "user", "content": "Tell me of the sea."}]
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        chat: Any = client.chat.completions.create
        asked = {"model": model, "messages": said, "max_tokens": 15, "seed": 5}
        whole, again = chat(**asked), chat(**asked)
        chunks = list(chat(**asked, stream=True, stream_options={"include_usage": True}))
        complete: Any = client.completions.create
        text: dict[str, Any] = {"model": model, "prompt": "the ant", "max_tokens": 30, "seed": 5}
        before = ""
        while len(before) < 8:  # of weights that nobody trained: some texts end at once
            text["seed"] += 1
            before = complete(**text).choices[0].text
        return {
            "version": openai.__version__,
            "whole": whole.choices[0].message.content,
            "again": again.choices[0].message.content,
            "streamed": "".join(x.choices[0].delta.content or "" for x in chunks if x.choices),
            "usages": [whole.usage.total_tokens, chunks[-1].usage.total_tokens],
            "stopped": complete(**text, stop=before[5:8]).choices[0].finish_reason,
            "errors": [
                _error(chat, **{**asked, "model": "gpt-5"}),
                _error(complete, **{**text, "prompt": "x" * 990}),
                _error(chat, **asked, temperature=-1),
            ],
        }


def _error(ask: Any, **fields: Any) -> list[Any]:
    try:
        ask(**fields)
    except openai.APIStatusError as error:
        return [type(error).__name__, error.status_code, error.code, error.param]
    raise AssertionError("it was not refused")


if __name__ == "__main__":
    print(json.dumps(tried(*sys.argv[1:])))
