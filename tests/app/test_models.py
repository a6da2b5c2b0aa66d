"""/models, and the same in OpenAI's shape."""

import hashlib
from pathlib import Path

import httpx
import pytest
import redis

from app.core.imports import Imports, ImportStatus
from app.core.settings import Settings
from tests.app.queue.test_jobs import BAD_IDS
from tests.app.serving import Running, serving
from tests.app.test_generate import URL, error_of
from tests.app.working import Worker
from tests.conftest import MODEL, save_vae, vae_header


def test_models_are_listed_with_their_cards(api: httpx.Client) -> None:
    (card,) = api.get("/models").json()["data"]
    assert card == api.get(f"/models/{MODEL}").json()
    assert (card["id"], card["family"], card["modality"]) == (MODEL, "vae", "image")
    assert (card["state"], card["determinism"]) == ("unloaded", None)
    assert card["params"]["properties"]["temperature"]["maximum"] == 2.0


def test_a_card_says_what_workers_hold(api: httpx.Client, worker: Worker) -> None:
    sha = api.get(f"/models/{MODEL}").json()["sha256"]
    worker.lease(**{sha: {"state": "loading", "determinism": None}})
    assert api.get(f"/models/{MODEL}").json()["state"] == "loading"
    Worker(worker.connection, "w2").lease(**{sha: {"state": "ready", "determinism": "bitwise"}})
    card = api.get(f"/models/{MODEL}").json()
    assert (card["state"], card["determinism"]) == ("ready", "bitwise")


def test_a_lease_that_cant_be_read_is_passed_over(api: httpx.Client, worker: Worker) -> None:
    worker.lease()
    worker.connection.set("atelier:lease:w1", "{nonsense")
    assert api.get("/models").status_code == 200
    assert api.get("/readyz").status_code == 503


def test_openai_clients_find_the_models(api: httpx.Client) -> None:
    listed = api.get("/v1/models").json()
    assert listed["object"] == "list"
    (model,) = listed["data"]
    assert (model["id"], model["object"], model["owned_by"]) == (MODEL, "model", "atelier")
    assert model["modality"] == "image"
    assert isinstance(model["created"], int)
    assert api.get(f"/v1/models/{MODEL}").json() == model


def test_models_are_filtered_by_what_they_make(api: httpx.Client) -> None:
    assert len(api.get("/v1/models?modality=image").json()["data"]) == 1
    assert api.get("/v1/models?modality=story").json()["data"] == []
    answer = api.get("/v1/models?modality=smell")
    assert answer.status_code == 422
    assert error_of(answer)["param"] == "modality"


def test_a_chat_front_end_finds_models_of_text_alone(api: httpx.Client, running: Running) -> None:
    assert api.get("/text/v1/models").json() == {"object": "list", "data": []}
    assert api.get(f"/text/v1/models/{MODEL}").status_code == 404
    chat = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}]}
    answer = api.post("/text/v1/chat/completions", json=chat)
    assert answer.json() == api.post("/v1/chat/completions", json=chat).json()


@pytest.mark.parametrize("prefix", ["/models", "/v1/models"])
def test_an_unknown_model_is_not_found(api: httpx.Client, prefix: str) -> None:
    for name in [*BAD_IDS, "nope", f"{MODEL}.safetensors"]:
        answer = api.get(f"{prefix}/{name}")
        assert answer.status_code == 404
        assert error_of(answer)["code"] in ("model_not_found", "not_found")


def test_a_file_dropped_in_is_served(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.catalog.catalog.LOOK", 0.0)
    with serving(settings) as running:
        assert running.client.post(URL, json={"model": "new"}).status_code == 404
        save_vae(settings.checkpoints / "new.safetensors", defaults={"temperature": 0.5})
        job = running.client.post(URL, json={"model": "new"}).json()
        assert (job["model"], job["input"]["temperature"]) == ("new", 0.5)
        bodies = running.client.get("/openapi.json").json()["components"]["schemas"]
        assert bodies["new"]["properties"]["temperature"]["default"] == 0.5
        (settings.checkpoints / "new.safetensors").write_bytes(b"cut")
        answer = running.client.get("/models/new")
    assert answer.status_code == 404
    assert "can't be used: new.safetensors is cut short" in error_of(answer)["message"]
    assert str(settings.checkpoints) not in answer.text


def test_a_model_that_is_being_imported_takes_jobs_that_wait(
    settings: Settings, connection: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.catalog.catalog.LOOK", 0.0)
    monkeypatch.setattr("app.core.imports.READ_EVERY", 0.0)
    imports = Imports(settings.state)
    status = ImportStatus(header=vae_header(defaults={"temperature": 0.5}), progress=0.25)
    imports.write("new", status)
    with serving(settings) as running:
        card = running.client.get("/models/new").json()
        assert (card["state"], card["progress"], card["sha256"]) == ("importing", 0.25, None)
        assert card in running.client.get("/models").json()["data"]
        assert "new" in [x["id"] for x in running.client.get("/v1/models").json()["data"]]
        answer = running.client.post(URL, json={"model": "new"})
        assert (answer.status_code, answer.json()["status"]) == (202, "queued")
        assert answer.json()["input"]["temperature"] == 0.5
        assert connection.lrange("rq:queue:model:new@importing", 0, -1) == [answer.json()["id"]]
        bad = running.client.post(URL, json={"model": "new", "temperature": 9})
        assert (bad.status_code, error_of(bad)["param"]) == (422, "temperature")

        entries = running.services.catalog.entries
        imports.write("new", status.model_copy(update={"progress": 0.75}))
        assert running.client.get("/models/new").json()["progress"] == 0.75
        assert running.services.catalog.entries is entries  # so the document is not built anew

        save_vae(settings.checkpoints / "new.safetensors")
        card = running.client.get("/models/new").json()
        assert (card["state"], card["progress"]) == ("unloaded", None)
        assert len(card["sha256"]) == 64


def test_a_model_whose_import_has_ended_is_not_expected_any_more(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.catalog.catalog.LOOK", 0.0)
    monkeypatch.setattr("app.core.imports.READ_EVERY", 0.0)
    Imports(settings.state).write("new", ImportStatus(header=vae_header(), progress=1.0))
    file = settings.checkpoints / "new.safetensors"
    save_vae(file)
    with serving(settings) as running:
        assert running.client.get("/models/new").json()["state"] == "unloaded"
        file.unlink()  # somebody takes it away: no job may wait for it
        assert running.client.post(URL, json={"model": "new"}).status_code == 404


def test_a_failed_import_is_told_with_its_reason(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.catalog.catalog.LOOK", 0.0)
    Imports(settings.state).write("new", ImportStatus(header=vae_header(), error="it is no model"))
    with serving(settings) as running:
        answer = running.client.post(URL, json={"model": "new"})
        assert answer.status_code == 404
        assert "its import failed: it is no model" in error_of(answer)["message"]
        entries = running.services.catalog.entries
        assert running.client.get("/models/new").status_code == 404
        assert running.services.catalog.entries is entries


def test_cards_hold_no_paths(running: Running) -> None:
    text = running.client.get("/models").text
    assert str(running.services.settings.checkpoints) not in text


def test_nothing_is_loaded_where_no_worker_can(api: httpx.Client, worker: Worker) -> None:
    for verb in ("load", "unload"):
        missing = api.post(f"/models/nope/{verb}")
        assert (missing.status_code, error_of(missing)["code"]) == (404, "model_not_found")
    refused = api.post(f"/models/{MODEL}/load")
    assert (refused.status_code, error_of(refused)["code"]) == (503, "no_workers")
    assert error_of(refused)["message"] == "no worker is alive"
    worker.lease()
    refused = api.post(f"/models/{MODEL}/load")
    assert error_of(refused)["message"] == f"no worker has the file of {MODEL}"
    assert api.post(f"/models/{MODEL}/unload").json()["state"] == "unloaded"


def test_only_a_key_with_its_scope_loads_models(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    ann, bob = (hashlib.sha256(name.encode()).hexdigest() for name in ("ann", "bob"))
    file.write_text(f"ann {ann} models\nbob {bob} metrics\n")
    with (
        serving(settings.model_copy(update={"keys_file": file})) as running,
        running.as_key("ann") as able,
        running.as_key("bob") as other,
    ):
        for verb, status in (("load", 503), ("unload", 202)):
            path = f"/models/{MODEL}/{verb}"
            refused = other.post(path)
            assert (refused.status_code, error_of(refused)["code"]) == (403, "insufficient_scope")
            assert error_of(refused)["message"] == "this API key lacks the scope models"
            assert running.client.post(path).status_code == 401
            assert able.post(path).status_code == status
