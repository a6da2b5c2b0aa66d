"""Two keys: neither sees anything of the other's."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.core.settings import Settings
from tests.app.queue.test_jobs import make
from tests.app.serving import Running, serving
from tests.app.test_artifacts import PNG, RAW, store
from tests.app.test_generate import URL, error_of


@pytest.fixture
def keyed(settings: Settings, tmp_path: Path) -> Iterator[Running]:
    file = tmp_path / "keys"
    lines = [f"{n} {hashlib.sha256(f'{n}-key'.encode()).hexdigest()}" for n in ("ann", "bob")]
    file.write_text("\n".join(lines))
    with serving(settings.model_copy(update={"keys_file": file})) as running:
        yield running


@pytest.fixture
def ann(keyed: Running) -> Iterator[httpx.Client]:
    with keyed.as_key("ann-key") as client:
        yield client


@pytest.fixture
def bob(keyed: Running) -> Iterator[httpx.Client]:
    with keyed.as_key("bob-key") as client:
        yield client


def test_all_but_health_and_the_document_need_a_key(keyed: Running) -> None:
    for method, path in (
        ("GET", "/jobs"),
        ("GET", "/jobs/job_1"),
        ("GET", "/jobs/job_1/events"),
        ("POST", "/jobs/job_1/cancel"),
        ("DELETE", "/jobs/job_1"),
        ("POST", URL),
        ("POST", "/artifacts"),
        ("GET", "/artifacts/x"),
        ("GET", "/models"),
        ("GET", "/models/x"),
        ("GET", "/v1/models"),
        ("GET", "/v1/models/x"),
        ("GET", "/metrics"),
    ):
        for headers in ({}, {"Authorization": "Bearer nope"}):
            answer = keyed.client.request(method, path, headers=headers)
            assert answer.status_code == 401, path
            assert error_of(answer)["code"] == "invalid_api_key"
            assert answer.headers["www-authenticate"] == "Bearer"
    assert keyed.client.get("/livez").status_code == 200
    assert keyed.client.get("/readyz").status_code == 503
    assert keyed.client.get("/openapi.json").status_code == 200


def test_another_keys_job_is_not_found(ann: httpx.Client, bob: httpx.Client) -> None:
    (job,) = make(ann)
    for answer in (
        bob.get(f"/jobs/{job}"),
        bob.get(f"/jobs/{job}/events"),
        bob.post(f"/jobs/{job}/cancel"),
        bob.delete(f"/jobs/{job}"),
    ):
        assert (answer.status_code, error_of(answer)["code"]) == (404, "job_not_found")
    assert bob.get("/jobs").json()["data"] == []
    assert ann.get(f"/jobs/{job}").json()["status"] == "queued"
    assert len(ann.get("/jobs").json()["data"]) == 1


def test_knowing_a_hash_is_not_owning_it(ann: httpx.Client, bob: httpx.Client) -> None:
    sha = store(ann)
    assert bob.get(f"/artifacts/{sha}").status_code == 404
    assert bob.post("/artifacts", content=PNG, headers=RAW).json()["sha256"] == sha
    assert bob.get(f"/artifacts/{sha}").content == ann.get(f"/artifacts/{sha}").content == PNG


def test_idempotency_keys_are_each_owners_own(ann: httpx.Client, bob: httpx.Client) -> None:
    key = {"Idempotency-Key": "same"}
    first, second = (c.post(URL, json={}, headers=key) for c in (ann, bob))
    assert first.json()["id"] != second.json()["id"]
    assert "idempotent-replayed" not in second.headers


def test_the_document_says_that_keys_are_needed(keyed: Running) -> None:
    document = keyed.client.get("/openapi.json").json()
    assert document["paths"]["/jobs"]["get"]["security"] == [{"key": []}, {"session": []}]
    assert document["paths"]["/artifacts"]["post"]["security"] == [{"key": []}]
    assert document["paths"]["/livez"]["get"]["security"] == []


def test_only_a_key_with_its_scope_reads_metrics(
    ann: httpx.Client, bob: httpx.Client, tmp_path: Path
) -> None:
    file = tmp_path / "keys"
    file.write_text(file.read_text().replace("\n", " metrics\n"))
    assert ann.get("/metrics").status_code == 200
    refused = bob.get("/metrics")
    assert (refused.status_code, error_of(refused)["code"]) == (403, "insufficient_scope")
    assert bob.get("/jobs").status_code == 200
