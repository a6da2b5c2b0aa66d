"""Strangers' files among the checkpoints: each odd one fails by itself, with its reason."""

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.checkpoint.safetensors_table import MAX_TABLE, CheckpointError, read_table
from models.registry import CheckpointRegistry
from tests.models.families import tiny_checkpoint

TENSOR = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def write(path: Path, table: object, body: bytes = b"\0" * 8) -> Path:
    text = table.encode() if isinstance(table, str) else json.dumps(table).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return path


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in TENSOR.items() if key != name}


def test_a_table_tells_tensors_and_metadata(tmp_path: Path) -> None:
    table = read_table(write(tmp_path / "x", {"__metadata__": {"a": "b"}, "t": TENSOR}))
    assert table.metadata == {"a": "b"}
    assert (table.tensors["t"].shape, table.tensors["t"].elements) == ((2,), 2)


@pytest.mark.parametrize(
    "tensor",
    [
        *(without(name) for name in TENSOR),
        *({**TENSOR, "dtype": dtype} for dtype in (["F32"], None, 5, {})),
        *({**TENSOR, "shape": s} for s in (["a"], [2.0], [True], [-2], 2, [[2]], [2**64], "ab")),
        *({**TENSOR, "data_offsets": o} for o in ([0], [8, 0], [0, 8, 9], [-8, 0], ["0", "8"])),
        {**TENSOR, "shape": [3]},  # more than its bytes
        {**TENSOR, "shape": [2**62, 2**62]},
        {**TENSOR, "data_offsets": [8, 16]},  # a gap before it
    ],
)
def test_a_tensor_that_breaks_a_rule_is_refused(tmp_path: Path, tensor: object) -> None:
    with pytest.raises(CheckpointError):
        read_table(write(tmp_path / "x", {"t": tensor}))


def test_overlapping_tensors_and_repeated_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="gaps"):
        read_table(write(tmp_path / "x", {"a": TENSOR, "b": TENSOR}))
    one = json.dumps(TENSOR)
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        read_table(write(tmp_path / "x", f'{{"a": {one}, "a": {one}}}'))


def test_an_unknown_precision_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="precision F4_E2M1 is unknown"):
        read_table(write(tmp_path / "x", {"t": {**TENSOR, "dtype": "F4_E2M1"}}))


@pytest.mark.parametrize("metadata", [["a"], "a", {"a": 5}, {"a": None}])
def test_metadata_that_is_no_texts_is_refused(tmp_path: Path, metadata: object) -> None:
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        read_table(write(tmp_path / "x", {"__metadata__": metadata, "t": TENSOR}))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "nonsense", "", "[1, 2]"])
def test_a_table_that_is_no_object_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        read_table(write(tmp_path / "x", text, b""))


def test_a_table_of_a_gigabyte_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with path.open("wb") as file:  # sparse: it takes no room on the disk
        file.write(struct.pack("<Q", 2**30))
        file.truncate(2**30 + 8)
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        read_table(path)
    assert MAX_TABLE < 2**30


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
        (b"\xef\xbb\xbf<!DOCTYPE html><html>Access restricted", "a web page"),
        (b"<HTML>", "a web page"),
        (b"GGUF\3\0\0\0", "atelier import gguf"),
    ],
)
def test_what_is_no_weights_is_named(tmp_path: Path, start: bytes, kind: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(start)
    with pytest.raises(CheckpointError, match=kind):
        read_table(path)


def a_loop(path: Path) -> None:
    path.symlink_to(path.name)


def a_dead_link(path: Path) -> None:
    path.symlink_to("nowhere")


def an_empty_file(path: Path) -> None:
    path.touch()


def a_capital_suffix(path: Path) -> None:
    path.with_suffix(".SAFETENSORS").touch()


ODD: dict[str, Callable[[Path], object]] = {
    "leads to itself": a_loop,
    "link to a file that is not there": a_dead_link,
    "is not a regular file": Path.mkdir,
    "x.safetensors is not a regular": os.mkfifo,
    "is cut short": an_empty_file,
    "in small letters": a_capital_suffix,
    "its metadata must be texts": lambda p: write(p, {"__metadata__": {"atelier": 5}}, b""),
    "over 1048576 characters": lambda p: write(p, {"__metadata__": {"atelier": " " * 2**21}}, b""),
}


@pytest.mark.parametrize("reason", list(ODD))
def test_an_odd_entry_fails_by_itself(tmp_path: Path, reason: str) -> None:
    tiny_checkpoint(tmp_path, "vae")
    ODD[reason](tmp_path / "x.safetensors")
    registry = CheckpointRegistry(tmp_path)
    assert list(registry.entries()) == ["tiny-vae"]
    assert reason in str(registry.look()["x"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_may_not_be_read_fails_by_itself(tmp_path: Path) -> None:
    tiny_checkpoint(tmp_path, "vae")
    (tmp_path / "x.safetensors").touch(mode=0)
    assert "no permission" in str(CheckpointRegistry(tmp_path).look()["x"])
    assert list(CheckpointRegistry(tmp_path).entries()) == ["tiny-vae"]


def test_an_unforeseen_error_of_one_file_is_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tiny_checkpoint(tmp_path, "vae")
    write(tmp_path / "x.safetensors", {"__metadata__": {"atelier": "{}"}}, b"")
    real = read_table

    def failing(path: Path) -> object:
        if path.stem == "x":
            raise ZeroDivisionError
        return real(path)

    monkeypatch.setattr("models.checkpoint.header.read_table", failing)
    assert list(CheckpointRegistry(tmp_path).entries()) == ["tiny-vae"]
    assert "x.safetensors is not served" in caplog.text
    assert "ZeroDivisionError" in caplog.text
