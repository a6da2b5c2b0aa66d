"""What litellm does with a service, or with a proxy before it. `litellm_sdk.py BASE_URL KEY`."""

import json
import sys
from typing import Any

import litellm

litellm.suppress_debug_info = True


def main(base: str, key: str) -> dict[str, Any]:
    common: dict[str, Any] = {"api_base": base, "api_key": key, "num_retries": 0}
    picture = litellm.image_generation(
        model="openai/dall-e-3",
        prompt="a red apple",
        size="1024x1024",
        response_format="b64_json",
        **common,
    )
    chat: dict[str, Any] = {
        "model": "openai/gpt-4o",
        "messages": [{"role": "user", "content": "Tell me of the sea."}],
        "max_tokens": 12,
        "seed": 5,
    }
    whole = litellm.completion(**chat, **common).choices[0].message.content
    chunks = litellm.completion(**chat, **common, stream=True)
    streamed = "".join(x.choices[0].delta.content or "" for x in chunks)
    return {"picture": picture.data[0].b64_json, "same": streamed == whole}


print(json.dumps(main(*sys.argv[1:])))
