"""The state folder: any name serves, others can't look in, and the socket can't be squatted."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from app.core.addresses import SOCKET, SOCKET_LINK, socket_in
from app.core.settings import Misconfigured, Settings
from app.core.stores.store_factory import open_store
from atelier.service.embedded_valkey import EmbeddedServer
from atelier.service.state_folder import discard_socket, is_private, prepare_socket, prepare_state
from tests.app.core.test_settings import NAMES


def modes_below(folder: Path) -> Iterator[tuple[str, int]]:
    """Every file and folder that is no link, with its permissions."""
    for path in (folder, *folder.rglob("*")):
        info = path.lstat()
        if not stat.S_ISLNK(info.st_mode):
            yield str(path.relative_to(folder)), stat.S_IMODE(info.st_mode)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_server_and_a_store_work_in_a_folder_of_any_name(tmp_path: Path, name: bytes) -> None:
    state = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    settings = Settings(state=state)
    with EmbeddedServer(state), redis.Redis.from_url(settings.redis_address) as client:
        assert client.client_info()["laddr"]  # what an RQ worker reads when it registers
        client.set("key", "value")
    with EmbeddedServer(state), redis.Redis.from_url(settings.redis_address) as client:
        assert client.get("key") == b"value"
    sha256 = open_store(settings).put(b"bytes")
    assert (state / "artifacts" / sha256[:2] / sha256).read_bytes() == b"bytes"
    assert list(tmp_path.iterdir()) == [state]


def test_others_can_not_look_into_what_is_kept(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        state = tmp_path / "state"
        for folder in ("artifacts/ab", "checkpoints/parts", "valkey/appendonlydir"):
            (state / folder).mkdir(parents=True)
            (state / folder / "file").touch()
        with EmbeddedServer(state) as server, redis.Redis.from_url(server.url) as client:
            client.set("key", "value")
            modes = dict(modes_below(state))
    finally:
        os.umask(before)
    assert {mode & 0o077 for mode in modes.values()} == {0}
    assert any("incr.aof" in name for name in modes)


def test_only_what_is_the_services_own_is_closed(tmp_path: Path) -> None:
    mine = tmp_path / "notes"
    mine.mkdir(mode=0o755)
    script = mine / "run.sh"
    script.touch(mode=0o755)
    outside = tmp_path.parent / "elsewhere"
    outside.mkdir(mode=0o755, exist_ok=True)
    (tmp_path / "checkpoints").symlink_to(outside)
    prepare_state(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700
    assert stat.S_IMODE(script.stat().st_mode) & 0o055 == 0o055
    assert stat.S_IMODE(outside.stat().st_mode) & 0o055 == 0o055


def test_a_folder_that_all_users_share_stays_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    prepare_state(tmp_path)
    prepare_socket(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o1777
    assert is_private(socket_in(tmp_path).parent)
    assert socket_in(tmp_path).parent != tmp_path
    discard_socket(tmp_path)


def test_the_folder_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    if os.getuid() == 0:
        os.chown(tmp_path, 4242, -1)
    with pytest.raises(Misconfigured, match="ATELIER_STATE: the folder belongs to another user"):
        prepare_state(tmp_path)


def test_no_folder_can_be_made_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Misconfigured, match=r"ATELIER_STATE: .*: Not a directory"):
        prepare_state(tmp_path / "file" / "state")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(Misconfigured, match="ATELIER_STATE: "):
        prepare_state(tmp_path / "loop")


def test_a_socket_in_the_state_folder_needs_no_other(tmp_path: Path) -> None:
    state = prepare_state(Path(os.path.relpath("/tmp", tmp_path)) / tmp_path / "s")
    if len(str(state / SOCKET)) > 100:
        pytest.skip("this machine's temporary folder has too long a path")
    prepare_socket(state)
    assert socket_in(state) == state / SOCKET


def test_the_private_folder_is_kept_unless_it_was_tampered_with(tmp_path: Path) -> None:
    state = prepare_state(tmp_path / "with space")
    prepare_socket(state)
    first = socket_in(state).parent
    prepare_socket(state)
    assert socket_in(state).parent == first
    first.chmod(0o755)
    prepare_socket(state)
    second = socket_in(state).parent
    assert second != first
    assert is_private(second)
    (state / SOCKET_LINK).unlink()
    (state / SOCKET_LINK).symlink_to(tmp_path / "planted")
    (tmp_path / "planted").symlink_to(second)
    prepare_socket(state)
    third = socket_in(state).parent
    assert third not in (first, second, tmp_path / "planted")
    discard_socket(state)
    assert not third.exists()
    first.rmdir()
    second.rmdir()
