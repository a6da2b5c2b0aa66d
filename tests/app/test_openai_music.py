"""POST /v1/audio/generate: words in, bytes out, over a real worker."""

import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import soundfile

from models.music.midi import write_midi
from tests.app.serving import Running, eventually
from tests.app.studio import PLAIN, PLAYER, a_studio
from tests.app.test_artifacts import store
from tests.app.test_generate import error_of
from tests.app.test_scores import TUNE

URL = "/v1/audio/generate"


@pytest.fixture(scope="module")
def studio(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("studio")
    with a_studio(redis_server, folder, ["wavenet"]) as running:
        running.client.timeout = 100  # a kernel may have to be compiled first
        yield running


def asked(studio: Running, **body: Any) -> httpx.Response:
    return studio.client.post(URL, json={"input": "jazz", "audio_length": 0.2, **body})


def job_of(studio: Running, answer: httpx.Response) -> dict[str, Any]:
    return dict(studio.client.get(answer.headers["location"]).json())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "content_type"),
    [
        ("wav", "audio/wav"),
        ("flac", "audio/flac"),
        ("mp3", "audio/mpeg"),
        ("ogg", "audio/ogg"),
        (None, "audio/wav"),
    ],
)
def test_words_become_sound(studio: Running, kind: str | None, content_type: str) -> None:
    answer = asked(studio, model=PLAYER, seed=7, response_format=kind)
    assert (answer.status_code, answer.headers["content-type"]) == (200, content_type), answer.text
    assert answer.headers["x-understood"] == "style jazz"
    with soundfile.SoundFile(io.BytesIO(answer.content)) as sound:
        assert sound.samplerate == 8000
    job = job_of(studio, answer)
    assert (job["type"], job["status"], job["seed"]) == ("audio", "completed", 7)
    assert job["input"].items() >= {"style": "jazz", "seconds": 0.2}.items()
    assert job["metadata"] == {"input": "jazz", "understood": "style jazz"}
    assert studio.client.get(job["outputs"][0]["url"]).content == answer.content


def test_words_that_mean_nothing_leave_the_style_to_be_drawn(studio: Running) -> None:
    answer = asked(studio, input="hm, surprise me")
    assert answer.status_code == 200
    assert answer.headers["x-understood"].startswith("nothing: what was left open is drawn")
    (output,) = job_of(studio, answer)["outputs"]
    assert "the style is" in output["notes"][0]


def test_the_same_words_give_the_same_bytes(studio: Running) -> None:
    one, two = (asked(studio, seed=5) for _ in range(2))
    explicit = asked(studio, input="polka", style="jazz", seed=5)
    assert one.content == two.content == explicit.content


def test_params_go_before_words(studio: Running) -> None:
    score = store(studio.client, write_midi(TUNE))
    answer = asked(studio, style="folk", score=score, audio_length=None, metadata={"mine": "x"})
    job = job_of(studio, answer)
    assert job["input"].items() >= {"style": "folk", "score": score}.items()
    assert job["outputs"][0]["seconds"] == 1.25
    assert job["metadata"]["mine"] == "x"
    answer = asked(studio, unconditioned=True)
    assert job_of(studio, answer)["input"]["style"] is None


REFUSED: list[tuple[dict[str, Any], int, str, str]] = [
    ({"audio_length": 0}, 422, "audio_length", "audio_length must be more than 0"),
    ({"audio_length": 10_000}, 422, "audio_length", "audio_length must be at most 60"),
    ({"audio_length": "10"}, 422, "audio_length", "audio_length must be a number"),
    ({"response_format": "aac"}, 422, "response_format", "response_format must be one of 'wav'"),
    ({"seconds": 3}, 422, "seconds", "seconds is not a parameter here; audio_length is"),
    ({"n": 2}, 422, "n", "n is not a parameter here: the reply is one file"),
    ({"style": "polka"}, 422, "style", "style must be one of 'jazz', 'folk'"),
    ({"input": 3}, 422, "input", "input must be a string"),
    ({"input": "x" * 1001}, 422, "input", "input must have at most 1000 characters"),
    ({"speed": 2}, 422, "speed", "speed is not a parameter here; known parameters: input, "),
    ({"seed": -1}, 422, "seed", "seed must be between 0 and"),
    ({"metadata": "mine"}, 422, "metadata", "metadata must be an object"),
    ({"model": 3}, 422, "model", "model must be a string"),
    ({"model": "nonsense"}, 404, "model", "there is no model 'nonsense'"),
    ({"model": PLAIN}, 404, "model", f"{PLAIN} makes image, not audio"),
]


@pytest.mark.parametrize(("body", "status", "param", "message"), REFUSED)
def test_what_can_not_be_is_told_by_the_names_of_this_form(
    studio: Running, body: dict[str, Any], status: int, param: str, message: str
) -> None:
    answer = asked(studio, **body)
    error = error_of(answer)
    assert (answer.status_code, error["param"]) == (status, param)
    assert error["message"].startswith(message)


def test_words_are_required_but_may_be_none(studio: Running) -> None:
    answer = studio.client.post(URL, json={})
    assert error_of(answer)["message"] == "input is required"
    assert asked(studio, input="").status_code == 200


def test_a_client_that_leaves_has_its_job_canceled(studio: Running) -> None:
    with pytest.raises(httpx.ReadTimeout):
        studio.client.post(URL, json={"input": "jazz", "audio_length": 60, "seed": 77}, timeout=0.3)

    def ended() -> bool:
        jobs = studio.client.get("/jobs").json()["data"]
        (job,) = [job for job in jobs if job["seed"] == 77]
        return bool(job["status"] == "canceled")

    assert eventually(ended, 20)


def test_the_document_has_its_body(studio: Running) -> None:
    document = studio.client.get("/openapi.json").json()
    body = document["paths"][URL]["post"]["requestBody"]["content"]["application/json"]
    (name,) = body["examples"]
    schema = document["components"]["schemas"][name]
    assert {"input", "audio_length", "response_format", "style"} <= schema["properties"].keys()
    assert not {"seconds", "output_format", "n"} & schema["properties"].keys()
    assert schema["required"] == ["input"]
    assert json.dumps(body["examples"]).count("jazz")
