"""Models by other names: which aliases a service starts with, and what it answers to them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from app.catalog.catalog import Catalog
from app.core.errors import NotFound
from app.core.settings import Misconfigured, Settings, read_settings
from app.main import check_aliases
from app.services import Services
from tests.app.serving import Running
from tests.app.studio import PAINTER, PLAIN, WRITER, a_studio
from tests.conftest import MODEL, save_vae

ALIASES = {"dall-e-3": PAINTER, "gpt-4o": WRITER, "gpt-4o:latest": WRITER}
REFUSED = [
    ("dall-e-3", "'dall-e-3' is not ALIAS=MODEL"),
    ("dall-e-3=", "'dall-e-3=' is not ALIAS=MODEL"),
    ("=t2i-emoji", "'' must be of letters"),
    ("dall e=t2i-emoji", "'dall e' must be of letters"),
    ("a/b=t2i-emoji", "'a/b' must be of letters"),
    ("a=m,a=n", "a is there twice"),
    ("a=m,b=a", "b must stand for a model, and a is an alias"),
    ("a=a", "a must stand for a model, and a is an alias"),
]


@pytest.mark.parametrize(("text", "reason"), REFUSED)
def test_a_list_that_cannot_be_read_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, text: str, reason: str
) -> None:
    monkeypatch.setenv("ATELIER_ALIASES", text)
    with pytest.raises(Misconfigured) as refused:
        read_settings()
    assert str(refused.value).startswith(f"ATELIER_ALIASES: {reason}")


def test_a_list_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_settings().aliases == {}
    monkeypatch.setenv("ATELIER_ALIASES", " dall-e-3 = t2i-emoji, gpt-4o=smollm2-135m ,")
    assert read_settings().aliases == {"dall-e-3": "t2i-emoji", "gpt-4o": "smollm2-135m"}


@pytest.mark.parametrize(
    ("aliases", "reason"),
    [
        ({"gpt-4o": "nothing"}, "gpt-4o stands for 'nothing', which is no model; known: clothes"),
        ({MODEL: "other"}, f"{MODEL} is a model here, and no alias may have its name"),
    ],
)
def test_an_alias_of_no_model_or_of_a_models_name_is_refused(
    tmp_path: Path, aliases: dict[str, str], reason: str
) -> None:
    save_vae(tmp_path / f"{MODEL}.safetensors")
    services = Services(Settings(state=tmp_path, checkpoints=tmp_path, aliases=aliases))
    with pytest.raises(Misconfigured) as refused:
        check_aliases(services)
    assert str(refused.value) == f"ATELIER_ALIASES: {reason}".replace("clothes", MODEL)


def test_the_process_ends_at_its_start(tmp_path: Path) -> None:
    own = {"ATELIER_ALIASES": "a=b", "ATELIER_STATE": str(tmp_path)}
    environment = {**os.environ, **own, "ATELIER_CHECKPOINTS": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "app.main"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 78
    message = "atelier: ATELIER_ALIASES: a stands for 'b', which is no model; known: none\n"
    assert done.stderr == message


def test_a_file_that_is_broken_counts_as_a_model(tmp_path: Path) -> None:
    (tmp_path / "cut.safetensors").write_bytes(b"")
    catalog = Catalog(tmp_path, max_items=4, aliases={"other": "cut"})
    catalog.scan()
    assert catalog.problem_of_aliases() is None
    with pytest.raises(NotFound, match="the file of the model cut can't be used"):
        catalog.find("other")


def test_a_model_goes_before_an_alias_that_came_first(tmp_path: Path) -> None:
    save_vae(tmp_path / "one.safetensors")
    catalog = Catalog(tmp_path, max_items=4, aliases={"two": "one"})
    catalog.scan()
    assert (catalog.find("two").id, [i for i, _ in catalog.aliases_of()]) == ("one", ["two"])
    save_vae(tmp_path / "two.safetensors")
    catalog.scan()
    assert (catalog.find("two").id, catalog.aliases_of()) == ("two", [])
    (tmp_path / "one.safetensors").unlink()
    (tmp_path / "two.safetensors").unlink()
    catalog.scan()
    with pytest.raises(NotFound, match="two is an alias: there is no model 'one'"):
        catalog.find("two")


@pytest.fixture(scope="module")
def studio(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    families = ("latent_diffusion", "language")
    folder = tmp_path_factory.mktemp("studio")
    with a_studio(redis_server, folder, families, aliases=ALIASES) as running:
        yield running


@pytest.fixture
def client(studio: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{studio.url}/v1", api_key="none", max_retries=0) as opened:
        yield opened


def test_models_are_listed_with_their_aliases(client: openai.OpenAI) -> None:
    listed = {model.id: model.alias_of for model in client.models.list()}  # type: ignore[attr-defined]
    assert listed == {**dict.fromkeys([PLAIN, PAINTER, WRITER]), **ALIASES}
    assert client.models.retrieve("gpt-4o").alias_of == WRITER  # type: ignore[attr-defined]
    assert client.models.retrieve("gpt-4o").id == "gpt-4o"


def test_a_modality_and_a_chats_url_list_aliases_of_theirs(studio: Running) -> None:
    for path in ("/v1/models?modality=story", "/text/v1/models"):
        listed = [model["id"] for model in studio.client.get(path).json()["data"]]
        assert listed == [WRITER, "gpt-4o", "gpt-4o:latest"]
    assert studio.client.get("/text/v1/models/dall-e-3").status_code == 404
    assert studio.client.get("/models/dall-e-3").json()["id"] == PAINTER


@pytest.mark.slow
def test_a_chat_answers_by_the_name_that_was_asked_for(
    studio: Running, client: openai.OpenAI
) -> None:
    messages = [{"role": "user", "content": "hello"}]
    answer = client.chat.completions.create(model="gpt-4o", messages=messages, max_tokens=2)  # type: ignore[call-overload]
    assert answer.model == "gpt-4o"
    assert studio.client.get(f"/jobs/{answer.job_id}").json()["model"] == WRITER  # type: ignore[attr-defined]
    chunks = client.chat.completions.create(  # type: ignore[call-overload]
        model="gpt-4o", messages=messages, max_tokens=2, stream=True
    )
    assert {chunk.model for chunk in chunks} == {"gpt-4o"}
    several = client.completions.create(model="gpt-4o:latest", prompt=["a", "b"], max_tokens=2)
    assert several.model == "gpt-4o:latest"
    assert client.completions.create(model=WRITER, prompt="a", max_tokens=1).model == WRITER


@pytest.mark.slow
def test_native_routes_take_aliases_and_the_job_tells_the_model(studio: Running) -> None:
    body = {"model": "dall-e-3", "prompt": "a dog", "seed": 1, "steps": 2}
    wait = {"Prefer": "wait=60"}
    answer = studio.client.post("/generate/text-to-image", json=body, headers=wait)
    assert (answer.status_code, answer.json()["model"]) == (200, PAINTER)
    own = studio.client.post(
        "/generate/text-to-image", json={**body, "model": PAINTER}, headers=wait
    )
    assert answer.json()["outputs"][0]["sha256"] == own.json()["outputs"][0]["sha256"]


def test_an_alias_of_another_kind_of_model_is_not_found(studio: Running) -> None:
    body = {"model": "gpt-4o", "prompt": "a dog"}
    for path in ("/generate/text-to-image", "/v1/images/generations", "/v1/videos"):
        answer = studio.client.post(path, json=body)
        assert (answer.status_code, answer.json()["error"]["param"]) == (404, "model")
        assert answer.json()["error"]["message"].startswith("gpt-4o makes story")


def test_the_document_has_the_aliases(studio: Running) -> None:
    schemas = studio.client.get("/openapi.json").json()["components"]["schemas"]
    assert schemas[WRITER]["properties"]["model"]["enum"] == [WRITER, "gpt-4o", "gpt-4o:latest"]
