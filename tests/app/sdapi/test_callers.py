"""AUTOMATIC1111's API and keys, clients that leave, and stock clients' requests."""

import base64
import hashlib
from pathlib import Path

import httpx
import pytest

from tests.app.serving import Running, eventually, serving
from tests.app.working import Worker
from tests.conftest import MODEL

V1 = "/sdapi/v1"


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_a_key_is_the_password_of_basic_authentication(running: Running, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    lines = [f"{n} {hashlib.sha256(f'{n}-key'.encode()).hexdigest()}" for n in ("ann", "bob")]
    file.write_text("\n".join(lines))
    settings = running.services.settings.model_copy(update={"sdapi": True, "keys_file": file})
    with serving(settings) as keyed:
        get, post = keyed.client.get, keyed.client.post
        for headers in ({}, basic("ann", "nope"), {"Authorization": "Basic ?"}):
            answer = get(f"{V1}/options", headers=headers)
            assert answer.status_code == 401
            assert answer.json()["error"] == "invalid_api_key"
        for headers in (basic("any", "ann-key"), {"Authorization": "Bearer ann-key"}):
            assert get(f"{V1}/sd-models", headers=headers).status_code == 200
        # the choice of a model, and the job, are each key's own
        chosen = {"sd_model_checkpoint": MODEL}
        assert post(f"{V1}/options", json=chosen, headers=basic("a", "ann-key")).is_success
        request = {"prompt": "", "override_settings": chosen}
        headers = {**basic("a", "ann-key"), "Idempotency-Key": "kept"}
        with pytest.raises(httpx.ReadTimeout):
            post(f"{V1}/txt2img", json=request, headers=headers, timeout=0.5)
        mine = get(f"{V1}/progress", headers=basic("a", "ann-key")).json()
        assert mine["state"]["job_count"] == 1
        theirs = get(f"{V1}/progress", headers=basic("b", "bob-key")).json()
        assert theirs["state"]["job_count"] == 0
        other = post(f"{V1}/interrupt", headers=basic("b", "bob-key"))
        assert "x-job-id" not in other.headers
        (job,) = get("/jobs", headers={"Authorization": "Bearer ann-key"}).json()["data"]
        assert job["status"] == "queued"


def test_a_client_that_leaves_has_its_job_canceled(running: Running, worker: Worker) -> None:
    settings = running.services.settings.model_copy(update={"sdapi": True})
    request = {"prompt": "", "override_settings": {"sd_model_checkpoint": MODEL}}
    with serving(settings) as sdapi:
        with pytest.raises(httpx.ReadTimeout):
            sdapi.client.post(f"{V1}/txt2img", json=request, timeout=0.5)
        assert eventually(
            lambda: [x["status"] for x in sdapi.client.get("/jobs").json()["data"]] == ["canceled"]
        )
