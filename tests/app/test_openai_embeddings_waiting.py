"""POST /v1/embeddings while its job waits: clients that leave and retry, and jobs that fail. The
worker has no model, so the test decides what happens when."""

from collections.abc import Iterator

import openai
import pytest
import torch

from app.core.settings import Settings
from models.artifacts import Vectors
from tests.app.serving import Running, eventually, serving
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
from workers.encoders.encode import encode
from workers.encoders.types import Facts

URL = "/v1/embeddings"
BODY = {"model": "tiny-embedding", "input": "the hen"}


@pytest.fixture
def waiting(settings: Settings) -> Iterator[Running]:
    tiny_checkpoint(settings.checkpoints, "embedding")
    with serving(settings) as running:
        running.client.get("/models")  # so that no client leaves while the folder is looked at
        yield running


def leave(running: Running, headers: dict[str, str]) -> None:
    """Ask, and go before the answer."""
    leave_once_accepted(running, URL, BODY, headers)


def end(running: Running, worker: Worker, job: str) -> None:
    """Finish a job with one vector."""
    (file,) = encode(Vectors(torch.full((1, 4), 0.5), 4), "npy", Facts("m", "", {}, 0))
    stored = running.services.store.backend.put(file.data)
    facts = {"role": "vectors", "content_type": file.content_type, "prompt_tokens": 4}
    worker.finish(job, output={"sha256": stored, "bytes": len(file.data), **facts})


def test_a_client_that_leaves_has_its_job_canceled(waiting: Running) -> None:
    leave(waiting, {})
    assert eventually(lambda: statuses(waiting) == ["canceled"])


def test_a_marked_retry_gets_the_job_of_its_first_try(waiting: Running, worker: Worker) -> None:
    leave(waiting, FIRST)
    assert eventually(lambda: statuses(waiting) == ["queued"])
    with meanwhile(lambda: end(waiting, worker, first(worker))):
        answer = waiting.client.post(URL, json=BODY, headers=AGAIN)
    assert answer.json()["data"][0]["embedding"] == [0.5] * 4
    assert answer.json()["usage"] == {"prompt_tokens": 4, "total_tokens": 4}
    assert statuses(waiting) == ["completed"]


def test_a_job_that_fails_is_told_by_its_code(waiting: Running, worker: Worker) -> None:
    with (
        openai.OpenAI(base_url=f"{waiting.url}/v1", api_key="none") as client,
        meanwhile(lambda: worker.finish(first(worker), "failed")),
        pytest.raises(openai.InternalServerError) as caught,
    ):
        client.embeddings.create(**BODY)
    assert caught.value.code == "out_of_memory"
    assert statuses(waiting) == ["failed"]  # it was not tried again
