"""POST /v1/images/edits while its job waits: clients that leave or retry, keys and ownership. The
worker has no model, so the test decides what happens when."""

import hashlib
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import redis

from app.core.settings import Settings
from app.operations import retries
from tests.app.serving import Running, eventually, serving
from tests.app.test_openai_waiting import (
    AGAIN,
    FIRST,
    end,
    first,
    meanwhile,
    notes,
    picture,
    statuses,
)
from tests.app.working import Worker
from tests.conftest import MODEL

HURRY = 1.5  # seconds after which an impatient client leaves; by then its form has been read
PATHS = ("/v1/images/edits", "/v1/images/variations")
FORM = {"model": MODEL, "prompt": ""}


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that left have a moment to come back."""
    monkeypatch.setattr(retries, "GRACE", 0.2)


def ask(client: httpx.Client, path: str, side: int = 8, **options: Any) -> httpx.Response:
    files = {"image": ("a.png", picture(side), "image/png")}
    return client.post(path, data=FORM, files=files, **options)


def leave(running: Running, path: str, headers: dict[str, str]) -> None:
    with pytest.raises(httpx.ReadTimeout):
        ask(running.client, path, headers=headers, timeout=HURRY)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", [{}, FIRST])
@pytest.mark.usefixtures("brief")
def test_a_client_that_leaves_has_its_job_canceled(
    running: Running, path: str, headers: dict[str, str]
) -> None:
    leave(running, path, headers)
    assert eventually(lambda: statuses(running) == ["canceled"])


@pytest.mark.parametrize("path", PATHS)
def test_a_retry_gets_the_job_of_its_first_try(
    running: Running, worker: Worker, path: str, connection: "redis.Redis"
) -> None:
    leave(running, path, FIRST)
    with meanwhile(lambda: end(running, worker, first(worker))):
        answer = ask(running.client, path, headers=AGAIN)
    assert (answer.status_code, answer.headers["idempotent-replayed"]) == (200, "true")
    assert answer.headers["location"] == f"/jobs/{answer.json()['job_id']}"
    assert statuses(running) == ["completed"]
    assert eventually(lambda: not notes(connection))


def test_the_stock_client_retries_into_the_same_job(running: Running, worker: Worker) -> None:
    image = ("a.png", picture(), "image/png")
    with openai.OpenAI(
        base_url=f"{running.url}/v1", api_key="none", max_retries=5, timeout=1.0
    ) as client:

        def late() -> None:
            job = first(worker)
            assert eventually(lambda: len(statuses(running)) == 1)
            end(running, worker, job)

        with meanwhile(late):
            answer = client.images.edit(model=MODEL, image=image, prompt="")
    assert answer.data is not None
    assert statuses(running) == ["completed"]


@pytest.mark.parametrize("path", PATHS)
def test_an_idempotency_key_is_of_one_form_and_its_files(
    running: Running, worker: Worker, path: str
) -> None:
    key = {"Idempotency-Key": f"edit-{path}"}
    leave(running, path, key)
    with meanwhile(lambda: end(running, worker, first(worker))):
        answer = ask(running.client, path, headers=key)
    assert (answer.status_code, answer.headers["idempotent-replayed"]) == (200, "true")
    other = ask(running.client, path, side=9, headers=key)
    assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_key_reuse")
    assert statuses(running) == ["completed"]


def test_files_and_jobs_are_their_keys_own(
    settings: Settings, tmp_path: Path, worker: Worker
) -> None:
    keys = tmp_path / "keys"
    keys.write_text(
        "".join(f"{x} {hashlib.sha256(x.encode()).hexdigest()}\n" for x in ("ann", "bob"))
    )
    with serving(settings.model_copy(update={"keys_file": keys})) as running:
        assert ask(running.client, PATHS[0]).status_code == 401
        with running.as_key("ann") as ann, running.as_key("bob") as bob:
            with meanwhile(lambda: end(running, worker, first(worker))):
                answer = ask(ann, PATHS[0])
            source = hashlib.sha256(picture()).hexdigest()
            for path in (f"/jobs/{answer.json()['job_id']}", f"/artifacts/{source}"):
                assert ann.get(path).status_code == 200
                assert bob.get(path).status_code == 404


def test_a_failed_job_names_the_image_as_the_client_does(running: Running, worker: Worker) -> None:
    with meanwhile(lambda: worker.finish(first(worker), "failed")):
        answer = ask(running.client, PATHS[0])
    assert (answer.status_code, answer.headers["x-should-retry"]) == (500, "false")
    assert answer.json()["error"]["code"] == "out_of_memory"
