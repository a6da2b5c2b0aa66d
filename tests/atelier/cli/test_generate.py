"""`atelier generate`, by the table of modalities and by the name of any other."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from models.modalities import MODALITIES
from tests.atelier.client.test_service_schema import App, Service, serving
from tests.atelier.commands import Said, atelier, refused


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[str, App]]:
    with serving() as served:
        yield served


@pytest.fixture
def service(running: tuple[str, App]) -> Service:
    _, app = running
    app.service = Service()
    return app.service


def ask(running: tuple[str, App], *arguments: str | Path) -> Said:
    return atelier("generate", *arguments, "--detach", ATELIER_URL=running[0])


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_row_is_a_command(modality: str) -> None:
    said = atelier("generate", modality, "--help")
    assert said.status == 0
    assert MODALITIES[modality].summary in said.out
    for option in ("--model", "--seed", "--param", "--output-format", "--detach"):
        assert option in said.out
    assert f"  {modality} " in atelier("generate", "--help").out.replace("│", " ")


def test_any_modality_of_the_service_is_a_command(
    running: tuple[str, App], service: Service, tmp_path: Path
) -> None:
    options = ("-n", "2", "--seed", "0", "--param", "size=3", "--model", "a/b")
    said = ask(running, "toy", "a hen", *options)
    assert said.status == 0, said.err
    expected = {"prompt": "a hen", "n": 2, "seed": 0, "size": 3, "model": "a/b"}
    assert service.jobs[said.out.strip()]["input"] == expected
    said = ask(running, "toy", "a hen", "-o", tmp_path / "hen.toy")
    assert service.jobs[said.out.strip()]["input"]["output_format"] == "toy"
    assert service.asked[-1].url.path == "/generate/toy"


def test_a_modality_that_no_model_has_is_refused(
    running: tuple[str, App], service: Service
) -> None:
    names = ", ".join(sorted({*MODALITIES, "toy"}))
    said = ask(running, "smell", "a hen")
    assert refused(said, 2) == f"no modality smell; there are {names}"
    assert not service.jobs


def test_an_image_is_saved_under_a_name_of_its_own(
    running: tuple[str, App], service: Service
) -> None:
    said = ask(running, "image", "-o", "cat.jpg")
    assert service.jobs[said.out.strip()]["input"] == {"n": 1, "output_format": "jpeg"}
    assert "must end in .png" in refused(ask(running, "image", "-o", "cat.gif"), 2)
