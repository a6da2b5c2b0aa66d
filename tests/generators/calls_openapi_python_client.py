"""Makes a picture, a chat and a video by a client of openapi-python-client; argument: URL."""

import sys
import time

from atelier_client import Client
from atelier_client.api.generate import generate_image
from atelier_client.api.openai import complete_chat, create_video, get_video
from atelier_client.models import (
    ChatReply,
    Job,
    Plain,
    TinyLanguageInOpenaiChatrequest,
    TinyLanguageInOpenaiChatrequestTurn,
    TinyLanguageInOpenaiChatrequestTurnRole,
    TinyVideoGanInOpenai,
    VideoResponse,
)
from httpx import Timeout

client = Client(base_url=sys.argv[1], timeout=Timeout(60))

job = generate_image.sync(client=client, body=Plain(n=2, seed=7), prefer="wait=60")
assert isinstance(job, Job), job
assert isinstance(job.outputs, list)
assert (job.status, len(job.outputs)) == ("completed", 2)

turn = TinyLanguageInOpenaiChatrequestTurn(
    role=TinyLanguageInOpenaiChatrequestTurnRole.USER, content="hello"
)
chat = TinyLanguageInOpenaiChatrequest(messages=[turn], max_tokens=5, seed=7)
answer = complete_chat.sync(client=client, body=chat)
assert isinstance(answer, ChatReply), answer
assert answer.usage.completion_tokens <= 5

video = create_video.sync(client=client, body=TinyVideoGanInOpenai(prompt="red", seed=7))
while isinstance(video, VideoResponse) and video.status in ("queued", "in_progress"):
    time.sleep(0.1)
    video = get_video.sync(client=client, video=video.id)
assert isinstance(video, VideoResponse), video
assert video.status == "completed", video
print("a picture, a chat and a video")
