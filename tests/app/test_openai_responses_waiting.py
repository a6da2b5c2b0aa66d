"""POST /v1/responses while its job waits: clients that leave and retry, jobs that fail, and other
keys. The worker has no model, so the test decides what happens when."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.settings import Settings
from tests.app.serving import Running, eventually, serving
from tests.app.test_generate import error_of
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

URL = "/v1/responses"
BODY = {"model": "tiny-language", "input": "the hen", "max_output_tokens": 5}


@pytest.fixture
def waiting(settings: Settings) -> Iterator[Running]:
    tiny_checkpoint(settings.checkpoints, "language")
    with serving(settings) as running:
        running.client.get("/models")  # so that no client leaves while the folder is looked at
        yield running


def leave(running: Running, headers: dict[str, str]) -> None:
    """Ask, and go before the answer."""
    leave_once_accepted(running, URL, BODY, headers)


def finish(running: Running, worker: Worker, job: str) -> None:
    """Finish a job with a short text."""
    stored = running.services.store.backend.put(b"eel\n")
    text = {"role": "text", "text": "eel", "content_type": "text/plain", "finish_reason": "stop"}
    worker.finish(job, output={"sha256": stored, "bytes": 4, **text, "prompt_tokens": 4})


def test_a_client_that_leaves_has_its_job_canceled(waiting: Running) -> None:
    leave(waiting, {})
    assert eventually(lambda: statuses(waiting) == ["canceled"])


def test_a_marked_retry_gets_the_job_of_its_first_try(waiting: Running, worker: Worker) -> None:
    leave(waiting, FIRST)
    assert eventually(lambda: statuses(waiting) == ["queued"])
    with meanwhile(lambda: finish(waiting, worker, first(worker))):
        answer = waiting.client.post(URL, json=BODY, headers=AGAIN)
    assert answer.json()["output"][0]["content"][0]["text"] == "eel"
    assert answer.headers["x-job-id"] == answer.json()["job_id"]
    assert statuses(waiting) == ["completed"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_job_that_fails_is_told_by_its_code(
    waiting: Running, worker: Worker, stream: bool
) -> None:
    with meanwhile(lambda: worker.finish(first(worker), "failed")):
        answer = waiting.client.post(URL, json={**BODY, "stream": stream})
    if stream:
        assert 'event: error\ndata: {"type": "error"' in answer.text
        assert '"code": "out_of_memory"' in answer.text
    else:
        assert error_of(answer)["code"] == "out_of_memory"
        assert answer.headers["x-should-retry"] == "false"


def test_one_in_the_background_outlives_its_client(waiting: Running, worker: Worker) -> None:
    answer = waiting.client.post(URL, json={**BODY, "background": True}).json()
    assert answer["status"] == "queued"
    early = waiting.client.post(URL, json={**BODY, "previous_response_id": answer["id"]})
    assert (early.status_code, error_of(early)["param"]) == (400, "previous_response_id")
    finish(waiting, worker, first(worker))
    looked_at = waiting.client.get(f"{URL}/{answer['id']}")
    assert looked_at.json()["status"] == "completed"
    assert looked_at.headers["x-job-id"] == answer["job_id"]


def test_a_canceled_response_says_so(waiting: Running) -> None:
    answer = waiting.client.post(URL, json={**BODY, "background": True}).json()
    canceled = waiting.client.post(f"{URL}/{answer['id']}/cancel").json()
    assert canceled["status"] == "cancelled"
    assert waiting.client.delete(f"{URL}/{answer['id']}").json() == {
        "id": answer["id"],
        "object": "response",
        "deleted": True,
    }


def test_another_key_sees_no_response(settings: Settings, tmp_path: Path) -> None:
    tiny_checkpoint(settings.checkpoints, "language")
    file = tmp_path / "keys"
    lines = [f"{n} {hashlib.sha256(f'{n}-key'.encode()).hexdigest()}" for n in ("ann", "bob")]
    file.write_text("\n".join(lines))
    keyed = settings.model_copy(update={"keys_file": file})
    with (
        serving(keyed) as running,
        running.as_key("ann-key") as ann,
        running.as_key("bob-key") as bob,
    ):
        assert running.client.post(URL, json=BODY).status_code == 401
        own = ann.post(URL, json={**BODY, "background": True}).json()["id"]
        item = {"type": "item_reference", "id": f"msg_{own.removeprefix('resp_')}"}
        assert ann.get(f"{URL}/{own}").status_code == 200
        assert bob.get(f"{URL}/{own}").status_code == 404
        assert bob.get(f"{URL}/{own}/input_items").status_code == 404
        assert bob.post(f"{URL}/{own}/cancel").status_code == 404
        assert bob.delete(f"{URL}/{own}").status_code == 404
        for fields in ({"previous_response_id": own}, {"input": [item]}):
            refused = bob.post(URL, json={**BODY, **fields})
            assert error_of(refused)["param"] in ("previous_response_id", "input.0.id")
        assert ann.delete(f"{URL}/{own}").status_code == 200
