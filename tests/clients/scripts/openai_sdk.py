"""What the openai package does with a service; prints what it got. `openai_sdk.py URL`."""

import base64
import io
import json
import sys
import warnings
from typing import Any

import openai

warnings.simplefilter("ignore")
CHAT = [{"role": "user", "content": "Tell me of the sea."}]


def main(url: str) -> dict[str, Any]:
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
    result = {"version": openai.__version__, "models": [x.id for x in client.models.list()]}
    raw = client.images.with_raw_response.generate(
        model="dall-e-3", prompt="a red apple", size="1024x1024", response_format="b64_json"
    )
    image = raw.parse().data[0]
    result["job"] = raw.headers["x-job-id"]
    result["picture"] = image.b64_json
    png = base64.b64decode(image.b64_json)
    result["edited"] = (
        client.images.edit(
            model="gpt-image-1", image=file(png), prompt="a green apple", size="512x512"
        )
        .data[0]
        .b64_json
    )
    result["varied"] = (
        client.images.create_variation(
            model="dall-e-2", image=file(png), size="256x256", response_format="b64_json"
        )
        .data[0]
        .b64_json
    )
    events = client.images.generate(
        model="gpt-image-1", prompt="a dog", size="512x512", stream=True, partial_images=2
    )
    result["events"] = [event.type for event in events]
    chat = client.chat.completions.create(model="gpt-4o", messages=CHAT, max_tokens=12, seed=5)
    result["chat"] = [chat.model, chat.usage.total_tokens]
    chunks = client.chat.completions.create(
        model="gpt-4o", messages=CHAT, max_tokens=12, seed=5, stream=True
    )
    streamed = "".join(x.choices[0].delta.content or "" for x in chunks if x.choices)
    result["same"] = streamed == chat.choices[0].message.content
    result["video"] = video(client) if hasattr(client, "videos") else None
    return result


def file(png: bytes) -> tuple[str, io.BytesIO, str]:
    return "picture.png", io.BytesIO(png), "image/png"


def video(client: Any) -> list[Any]:
    created = client.videos.create_and_poll(
        prompt="a red apple",
        seconds="4",
        poll_interval_ms=50,
        extra_body={"steps": 2, "frames": 8},
    )
    data = client.videos.download_content(created.id).read()
    return [created.status, data[4:8].decode()]


print(json.dumps(main(*sys.argv[1:])))
