"""What a stock openai client does with us, of whatever version is importable; prints what it got.

`python stock_client.py URL MODEL` needs nothing but that package and Python, so that a test can run
it with another version than its own.
"""

import json
import sys
from typing import Any

import openai


def tried(url: str, model: str) -> dict[str, Any]:
    """Pictures inline and by URL, a stream with partial pictures, and three kinds of errors."""
    more = {"seed": 7, "steps": 6}
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:

        def ask(**fields: Any) -> Any:
            asked = {"model": model, "prompt": "a red apple", "extra_body": more}
            return client.images.generate(**(asked | fields))

        inline, by_url = ask(n=2), ask(response_format="url")
        stream = ask(stream=True, partial_images=3)
        events = [(type(e).__name__, e.type, len(e.b64_json)) for e in stream]
        return {
            "version": openai.__version__,
            "pictures": [picture.b64_json for picture in inline.data],
            "facts": [inline.size, inline.output_format, inline.usage.total_tokens],
            "url": by_url.data[0].url,
            "events": events,
            "errors": [
                _error(ask, model="gpt-image-1"),
                _error(ask, size="1024x1024"),
                _error(ask, extra_body={"steps": 0}),
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
