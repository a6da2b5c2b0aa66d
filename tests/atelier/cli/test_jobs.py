"""The commands that ask a service: a real API over a real Valkey, and a worker with no model."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import redis
import torch
from PIL import Image as Picture

from app.core.settings import Settings
from app.core.stores.store_factory import store_at
from models.artifacts import Image
from tests.app.serving import eventually, serving
from tests.app.working import Worker
from tests.atelier.commands import Said, atelier, refused
from tests.conftest import MODEL
from workers.encoders.encode import encode
from workers.encoders.types import Facts

Ask = Callable[..., Said]
FACTS = Facts(MODEL, "ab" * 32, {"temperature": 1.0}, 1)

Scope = Callable[..., AbstractContextManager[None]]


@pytest.fixture
def ask(settings: Settings) -> Iterator[Ask]:
    """The command, with the address of a service in its environment."""
    with serving(settings) as running:
        yield lambda *arguments: atelier(*arguments, ATELIER_URL=running.url)


@pytest.fixture
def working(settings: Settings, connection: "redis.Redis") -> Scope:
    worker = Worker(connection)

    @contextmanager
    def scope(outcome: str = "finished", **fields: str) -> Iterator[None]:
        """Within, one job is carried out as soon as it comes."""

        def work() -> None:
            jobs: list[str] = []
            eventually(lambda: jobs.extend(worker.claim()) or jobs, 20)
            worker.progress(jobs[0], 1, 2)
            (picture,) = encode(Image(torch.zeros(1, 8, 8)), "png", FACTS)
            sha256 = store_at(settings.store_address).put(picture.data)
            output = {
                "sha256": sha256,
                "content_type": "image/png",
                "bytes": len(picture.data),
                **fields,
            }
            worker.finish(jobs[0], outcome, output=None if outcome == "failed" else output)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            thread.join()

    return scope


def test_pictures_are_made_and_saved_by_model_and_seed(
    ask: Ask, working: Scope, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    command = ("generate", "image", "--seed", "1", "--out", folder, "--param", "temperature=0.5")
    for name in (f"{MODEL}-1.png", f"{MODEL}-1-2.png"):  # nothing is overwritten
        with working():
            said = ask(*command)
        assert (said.status, said.out) == (0, f"{folder / name}\n"), said.err
    assert len(list(folder.iterdir())) == 2
    (job, other) = json.loads(ask("jobs", "--json").out)
    assert job["input"]["temperature"] == 0.5
    assert job["status"] == other["status"] == "completed"
    assert json.loads(atelier("inspect", folder / name).out) == {
        "model": MODEL,
        "checkpoint": "ab" * 32,
        "params": {"temperature": 1.0},
        "seed": 1,
    }


def test_options_become_the_params_of_the_request(ask: Ask, tmp_path: Path) -> None:
    picture = tmp_path / "mine.jpeg"
    Picture.new("RGB", (9, 9), "red").save(picture)
    job = ask("generate", "image", "--init-image", picture, "--strength", "0.25", "--detach").out
    asked = json.loads(ask("job", job.strip()).out)["input"]
    assert asked["init_image"] == hashlib.sha256(picture.read_bytes()).hexdigest()
    assert asked["strength"] == 0.25
    walk = ("--interpolate-to", "9", "--frames", "5", "--output-format", "jpeg")
    job = ask("generate", "image", *walk, "--detach").out
    asked = json.loads(ask("job", job.strip()).out)["input"]
    assert asked["interpolate"] == {"to_seed": 9, "frames": 5}
    assert asked["output_format"] == "jpeg"
    job = ask("generate", "image", "-n", "3", "--grid", "--detach").out
    assert json.loads(ask("job", job.strip()).out)["input"]["grid"] is True


@pytest.mark.parametrize(
    ("role", "kind", "name"),
    [
        ("sheet", "image/png", f"{MODEL}-1-sheet.png"),
        ("sheet", "image/jpeg", f"{MODEL}-1-sheet.jpeg"),
        ("animation", "image/webp", f"{MODEL}-1.webp"),
    ],
)
def test_a_saved_file_is_named_by_its_role(
    ask: Ask, working: Scope, tmp_path: Path, role: str, kind: str, name: str
) -> None:
    with working(role=role, content_type=kind):
        said = ask("generate", "image", "--seed", "1", "--out", tmp_path)
    assert (said.status, said.out) == (0, f"{tmp_path / name}\n"), said.err


def test_what_was_made_can_be_told_as_json(ask: Ask, working: Scope, tmp_path: Path) -> None:
    with working():
        said = ask("generate", "image", "--seed", "1", "--out", tmp_path, "--json")
    job = json.loads(said.out)
    assert (job["status"], job["seed"]) == ("completed", 1)
    assert (tmp_path / f"{MODEL}-1.png").is_file()


def test_a_job_that_fails_is_one_line(ask: Ask, working: Scope, tmp_path: Path) -> None:
    with working("failed"):
        said = ask("generate", "image", "--out", tmp_path)
    assert "no memory (out_of_memory)" in refused(said)


def test_a_detached_job_is_looked_at_listed_and_canceled(ask: Ask) -> None:
    job = ask("generate", "image", "--seed", "7", "--detach").out.strip()
    assert json.loads(ask("job", job).out)["seed"] == 7
    heading, row = ask("jobs", "--status", "queued").out.splitlines()
    assert heading.split() == ["JOB", "STATUS", "DONE", "MODEL", "SEED"]
    assert row.split() == [job, "queued", "0%", MODEL, "7"]
    assert ask("cancel", job).out.strip() == "canceled"
    (alone,) = ask("jobs", "--status", "queued").out.splitlines()
    assert alone.split() == heading.split()


def test_the_files_of_a_detached_job_are_fetched(ask: Ask, working: Scope, tmp_path: Path) -> None:
    with working():
        job = ask("generate", "image", "--seed", "1", "--detach").out.strip()
        said = ask("jobs", "fetch", job, "--out", tmp_path)
    assert (said.status, said.out) == (0, f"{tmp_path / MODEL}-1.png\n"), said.err
    with working("failed"):
        job = ask("generate", "image", "--seed", "1", "--detach").out.strip()
        assert job in refused(ask("jobs", "fetch", job, "--out", tmp_path))


def test_a_model_that_is_not_known_is_one_line_that_says_what_to_do(ask: Ask) -> None:
    assert "see `atelier models`" in refused(ask("generate", "image", "--model", "nonesuch"))


def test_a_key_that_is_not_known_is_one_line_that_says_what_to_do(
    settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "keys"
    file.write_text(f"ann {hashlib.sha256(b'a-key').hexdigest()}\n")
    with serving(settings.model_copy(update={"keys_file": file})) as running:
        said = refused(atelier("models", "--url", running.url, "--api-key", "b-key"))
        assert "--api-key or ATELIER_API_KEY" in said
        assert atelier("models", "--url", running.url, "--api-key", "a-key").status == 0


def test_models_are_listed_and_shown_whole(ask: Ask) -> None:
    heading, row = ask("models").out.splitlines()
    assert heading.split()[0] == "MODEL"
    assert row.split()[0] == MODEL
    assert "temperature" in json.loads(ask("models", MODEL).out)["params"]["properties"]
    assert [card["id"] for card in json.loads(ask("models", "--json").out)] == [MODEL]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "nonsense"], "nonsense"),
        (["--n", "0"], "n must be between 1 and"),
        (["--param", "speed=3"], "speed is not a parameter here"),
        (["--steps", "3"], "steps is not a parameter here"),
        (["--class-label", "3"], "class_label is not a parameter here"),
        (["--interpolate-to", "3", "--frames", "99"], "interpolate.frames must be between"),
        (["--interpolate-to", "3", "--grid"], "grid and interpolate don't go together"),
        (["--strength", "0.5"], "strength needs init_image"),
        (["--param", "self=3"], "self is not a parameter here"),
        (["--param", "temperature=warm"], "temperature must be a number"),
    ],
)
def test_what_the_service_refuses_is_one_line(ask: Ask, arguments: list[str], message: str) -> None:
    assert message in refused(ask("generate", "image", *arguments))


@pytest.mark.parametrize("command", ["job", "cancel"])
def test_an_unknown_job_is_one_line(ask: Ask, command: str) -> None:
    assert "no such job" in refused(ask(command, "job_0"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--param", "n=3"], "option of its own: --n"),
        (["--param", "temperature"], "key=value"),
        (["--param", "=1"], "key=value"),
        (["--steps", "3", "--param", "steps=4"], "option of its own: --steps"),
        (["--interpolate-to", "1", "--param", "interpolate={}"], "--interpolate-to"),
        (["--frames", "3"], "--frames needs --interpolate-to"),
    ],
)
def test_options_that_cannot_be_meant_are_refused_unasked(options: list[str], message: str) -> None:
    assert message in refused(atelier("generate", "image", *options), 2)


def test_a_folder_that_cannot_be_written_is_one_line(
    ask: Ask, working: Scope, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with working():
        said = ask("generate", "image", "--out", tmp_path / "file")
    assert "file" in refused(said)


@pytest.mark.slow
@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "not an address", "http://[", "ftp://a"])
def test_nobody_there_is_one_line(url: str) -> None:
    said = refused(atelier("models", "--url", url))
    assert "start it with `atelier up`" in said
