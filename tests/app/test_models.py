"""/models, and the same in OpenAI's shape."""

import httpx
import pytest

from app.settings import Settings
from tests.app.serving import Running, serving
from tests.app.test_generate import URL, error_of
from tests.app.test_jobs import BAD_IDS
from tests.app.working import Worker
from tests.conftest import MODEL, save_vae


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
    assert isinstance(model["created"], int)
    assert api.get(f"/v1/models/{MODEL}").json() == model


@pytest.mark.parametrize("prefix", ["/models", "/v1/models"])
def test_an_unknown_model_is_not_found(api: httpx.Client, prefix: str) -> None:
    for name in [*BAD_IDS, "nope", f"{MODEL}.safetensors"]:
        answer = api.get(f"{prefix}/{name}")
        assert answer.status_code == 404
        assert error_of(answer)["code"] in ("model_not_found", "not_found")


def test_a_file_dropped_in_is_served(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.catalog.LOOK", 0.0)
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


def test_cards_hold_no_paths(running: Running) -> None:
    text = running.client.get("/models").text
    assert str(running.services.settings.checkpoints) not in text
