"""POST /v1/messages while its job waits: clients that leave and retry, and jobs that fail. The
worker has no model, so the test decides what happens when."""

from collections.abc import Iterator

import pytest

from app.core.settings import Settings
from tests.app.serving import Running, eventually, serving
from tests.app.test_openai_responses_waiting import finish
from tests.app.test_openai_waiting import (
    AGAIN,
    FIRST,
    first,
    leave_once_accepted,
    meanwhile,
    statuses,
)
from tests.app.working import Worker
from tests.models.families import tiny_checkpoint

URL = "/v1/messages"
TURNS = [{"role": "user", "content": "the hen"}]
BODY = {"model": "tiny-language", "messages": TURNS, "max_tokens": 5}


@pytest.fixture
def waiting(settings: Settings) -> Iterator[Running]:
    tiny_checkpoint(settings.checkpoints, "language")
    with serving(settings) as running:
        running.client.get("/models")  # so that no client leaves while the folder is looked at
        yield running


def test_a_marked_retry_gets_the_job_of_its_first_try(waiting: Running, worker: Worker) -> None:
    leave_once_accepted(waiting, URL, BODY, FIRST)
    assert eventually(lambda: statuses(waiting) == ["queued"])
    with meanwhile(lambda: finish(waiting, worker, first(worker))):
        answer = waiting.client.post(URL, json=BODY, headers=AGAIN)
    assert answer.json()["content"] == [{"type": "text", "text": "eel"}]
    assert answer.headers["x-job-id"] == answer.json()["job_id"]
    assert statuses(waiting) == ["completed"]


def test_a_client_that_leaves_has_its_job_canceled(waiting: Running) -> None:
    leave_once_accepted(waiting, URL, BODY)
    assert eventually(lambda: statuses(waiting) == ["canceled"])


@pytest.mark.parametrize("stream", [False, True])
def test_a_job_that_fails_is_told_in_the_same_shape(
    waiting: Running, worker: Worker, stream: bool
) -> None:
    with meanwhile(lambda: worker.finish(first(worker), "failed")):
        answer = waiting.client.post(URL, json={**BODY, "stream": stream})
    if stream:
        assert 'event: error\ndata: {"type": "error", "error": {"type": "api_error"' in answer.text
        assert "message_stop" not in answer.text
    else:
        error = answer.json()["error"]
        assert (error["type"], error["code"]) == ("api_error", "out_of_memory")
        assert answer.headers["x-should-retry"] == "false"
