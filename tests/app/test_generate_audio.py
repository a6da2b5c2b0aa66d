"""POST /generate/audio: what is taken, and everything that is told of what is not."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import redis
from pydantic import ValidationError

from app.catalog.request_models import formats_of, request_class
from app.core.settings import Settings
from app.http.validation_errors import explain_details
from models.checkpoint.header import Header
from models.families import FAMILIES
from models.params.music_terms import WRONG_KEY
from tests.app.serving import serving
from tests.app.test_generate import error_of
from tests.conftest import MODEL, save_vae
from tests.models.families import tiny_checkpoint

PLAYER, URL = "tiny-wavenet", "/generate/audio"


@pytest.fixture(scope="module")
def server_of_music(
    tmp_path_factory: pytest.TempPathFactory, redis_server: str
) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("music")
    save_vae(folder / f"{MODEL}.safetensors")
    tiny_checkpoint(folder, "wavenet")
    settings = Settings(
        state=folder / "state",
        redis_url=redis_server,
        checkpoints=folder,
        **{"default_audio_model": PLAYER},
    )
    with serving(settings) as running:
        yield running.client


@pytest.fixture
def music(server_of_music: httpx.Client, connection: "redis.Redis") -> httpx.Client:
    return server_of_music


def test_a_request_for_music_becomes_a_job(music: httpx.Client) -> None:
    answer = music.post(URL, json={"style": "folk", "seconds": 0.5, "seed": 3})
    assert answer.status_code == 202
    job = answer.json()
    assert (job["type"], job["model"], job["status"]) == ("audio", PLAYER, "queued")
    assert job["input"].items() >= {"style": "folk", "seconds": 0.5, "output_format": "wav"}.items()
    assert "grid" not in job["input"]
    assert [j["id"] for j in music.get("/jobs?type=audio").json()["data"]] == [job["id"]]


@pytest.mark.parametrize("text", ["jazz", "some gentle Swing", "0", 0, "蓝调"])
def test_a_style_is_any_text_that_names_one(music: httpx.Client, text: str | int) -> None:
    job = music.post(URL, json={"style": text, "seconds": 0.5}).json()
    assert job["input"]["style"] == "jazz"


def test_a_key_may_be_spelled_in_any_way() -> None:
    header = Header.model_validate({"family": "composer", "net": {}, "labels": ["jazz"]})
    request = request_class("c", header, FAMILIES["composer"], max_items=8)
    asked = request.model_validate({"key": "b-flat minor", "style": "bebop"})
    assert dict(asked).items() >= {"key": "Bb minor", "style": "jazz"}.items()
    with pytest.raises(ValidationError) as refused:
        request.model_validate({"key": "H dur"})
    error = explain_details(refused.value.errors(include_url=False), request.model_json_schema())
    assert (error.param, str(error)) == ("key", f"key {WRONG_KEY.removeprefix('it ')}")


def test_music_is_on_its_card(music: httpx.Client) -> None:
    card = music.get(f"/models/{PLAYER}").json()
    assert (card["modality"], card["labels"]) == ("audio", ["jazz", "folk"])
    assert card["params"]["properties"]["output_format"]["enum"] == ["wav", "flac", "mp3", "ogg"]


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"style": "polka"}, "style", "must be one of 'jazz', 'folk', or a number between 0 and 1"),
    ({"seconds": 0}, "seconds", "must be more than 0"),
    ({"seconds": -1}, "seconds", "must be more than 0"),
    ({"seconds": 10_000}, "seconds", "must be at most 60"),
    ({"seconds": "10"}, "seconds", "must be a number"),
    ({"temperature": 0}, "temperature", "must be between 0.05 and 2.0"),
    ({"top_p": 0}, "top_p", "must be more than 0"),
    ({"unconditioned": True, "style": "jazz"}, "unconditioned", "don't go together"),
    ({"output_format": "png"}, "output_format", "must be one of 'wav', 'flac', 'mp3', 'ogg'"),
    ({"grid": True}, "grid", "is not a parameter here"),
    ({"n": 0}, "n", "must be between 1 and 64"),
    ({"seed": 2**53}, "seed", "must be between 0 and"),
]


@pytest.mark.parametrize(("asked", "param", "message"), REFUSED)
def test_what_can_not_be_made_is_told(
    music: httpx.Client, asked: dict[str, Any], param: str, message: str
) -> None:
    answer = music.post(URL, json=asked)
    error = error_of(answer)
    assert (answer.status_code, error["param"]) == (422, param)
    assert message in error["message"]


@pytest.mark.parametrize(
    ("route", "model", "makes"), [(URL, MODEL, "image"), ("/generate/image", PLAYER, "audio")]
)
def test_a_model_of_another_route_is_told(
    music: httpx.Client, route: str, model: str, makes: str
) -> None:
    answer = music.post(route, json={"model": model})
    assert answer.status_code == 404
    assert f"{model} makes {makes}, not" in error_of(answer)["message"]


@pytest.mark.parametrize(("rate", "has_mp3"), [(16_000, True), (16_001, False), (96_000, False)])
def test_mp3_is_offered_where_it_has_the_rate(rate: int, has_mp3: bool) -> None:
    header = Header.model_validate({"family": "wavenet", "net": {}, "process": {"rate": rate}})
    formats = formats_of(header, FAMILIES["wavenet"])
    assert ("mp3" in formats, formats[0]) == (has_mp3, "wav")


def test_a_composer_makes_midi() -> None:
    header = Header.model_validate({"family": "composer", "net": {}, "labels": ["jazz"]})
    assert formats_of(header, FAMILIES["composer"]) == ("midi",)
    request = request_class("c", header, FAMILIES["composer"], max_items=8)
    assert request().output_format == "midi"  # type: ignore[attr-defined]
