"""What a stock openai client does with videos, of whatever version is importable; prints what it
got. `python stock_video_client.py URL` needs nothing but that package and Python."""

import base64
import json
import sys
import warnings
from typing import Any

import openai

warnings.filterwarnings("ignore", "The Sora API", DeprecationWarning)


def tried(url: str) -> dict[str, Any]:
    """A video made, polled and fetched in each variant; listed, deleted, and gone."""
    few = {"steps": 2, "frames": 8, "seed": 7}
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        created = client.videos.create_and_poll(
            prompt="a red apple",
            poll_interval_ms=20,
            seconds="4",
            extra_body=few,
        )
        variants: tuple[Any, ...] = ("video", "thumbnail", "spritesheet")
        content = [client.videos.download_content(created.id, variant=x).read() for x in variants]
        listed = [video.id for video in client.videos.list()]
        gone = client.videos.delete(created.id)
        return {
            "version": openai.__version__,
            "video": [created.status, created.progress, created.seconds, created.size],
            "content": [base64.b64encode(data).decode() for data in content],
            "listed": created.id in listed,
            "deleted": [gone.id == created.id, gone.deleted, gone.object],
            "after": _error(client, created.id),
        }


def _error(client: openai.OpenAI, video: str) -> list[Any]:
    try:
        client.videos.retrieve(video)
    except openai.APIStatusError as error:
        return [type(error).__name__, error.status_code, error.code]
    raise AssertionError("it is still there")


if __name__ == "__main__":
    print(json.dumps(tried(*sys.argv[1:])))
