"""Makes a picture, a chat and a video by a client that openapi-generator wrote; argument: URL."""

import sys
import time

from openapi_client import ApiClient, Configuration, GenerateApi, OpenaiApi
from openapi_client.models.plain import Plain
from openapi_client.models.tiny_language_in_openai_chatrequest import (
    TinyLanguageInOpenaiChatrequest,
)
from openapi_client.models.tiny_video_gan_in_openai import TinyVideoGanInOpenai

with ApiClient(Configuration(host=sys.argv[1])) as client:
    job = GenerateApi(client).generate_image(Plain(n=2, seed=7), prefer="wait=60")
    assert (job.status, len(job.outputs or [])) == ("completed", 2)

    chat = TinyLanguageInOpenaiChatrequest.from_dict(
        {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 5, "seed": 7}
    )
    assert chat is not None
    answer = OpenaiApi(client).complete_chat(chat)
    assert answer.usage.completion_tokens <= 5

    video = OpenaiApi(client).create_video(TinyVideoGanInOpenai(prompt="red", seed=7))
    while video.status in ("queued", "in_progress"):
        time.sleep(0.1)
        video = OpenaiApi(client).get_video(video.id)
    assert video.status == "completed", video
print("a picture, a chat and a video")
