"""Sets by name, CIFAR-10 and CelebA in torchvision's own layout, made up here."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.drawn import draw, draw_folder
from training.data.cache import DataMissing
from training.data.images import sets
from training.data.images.sets import OWN, source_of
from training.recipe import Data

vision = pytest.importorskip("torchvision.datasets", reason="reads CIFAR-10 and CelebA")

KINDS = [f"kind {i}" for i in range(10)]


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


@pytest.fixture
def cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two rows in each file, and torchvision told of the new bytes."""
    folder = tmp_path / "sets/cifar-10-batches-py"
    folder.mkdir(parents=True)
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    for i, name in enumerate(names):
        rows = np.full((2, 3072), 10 * i, np.uint8)
        (folder / name).write_bytes(pickle.dumps({"data": rows, "labels": [i, 9 - i]}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": KINDS}))
    listed = [[name, md5(folder / name)] for name in names]
    monkeypatch.setattr(vision.CIFAR10, "train_list", listed[:5])
    monkeypatch.setattr(vision.CIFAR10, "test_list", listed[5:])
    meta = {"filename": "batches.meta", "key": "label_names", "md5": md5(folder / "batches.meta")}
    monkeypatch.setattr(vision.CIFAR10, "meta", meta)
    return folder.parent


@pytest.fixture
def celeba(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six faces: three to train on, one to validate, two to test."""
    folder = tmp_path / "sets/celeba"
    names = [f"{i:06d}.jpg" for i in range(1, 7)]
    for i, name in enumerate(names):
        draw(folder / "img_align_celeba" / name, i, (178, 218))
    tables = {
        "list_eval_partition.txt": [f"{n} {p}" for n, p in zip(names, "000122", strict=True)],
        "identity_CelebA.txt": [f"{n} 1" for n in names],
        "list_bbox_celeba.txt": ["6", "image_id x", *(f"{n} 1" for n in names)],
        "list_landmarks_align_celeba.txt": ["6", "x", *(f"{n} 1" for n in names)],
        "list_attr_celeba.txt": ["6", "Smiling", *(f"{n} -1" for n in names)],
    }
    for name, rows in tables.items():
        (folder / name).write_text("\n".join(rows) + "\n")
    listed = [("", md5(folder / name), name) for name in tables]
    monkeypatch.setattr(vision.CelebA, "file_list", listed)
    return folder.parent


def test_cifar_is_brought_to_the_size_and_keeps_its_kinds(cifar: Path) -> None:
    source = source_of(f"cifar10:{cifar}")
    data = source.load(16, 1)
    assert data.train[0].shape == (10, 1, 16, 16)
    assert data.test[0].shape == (2, 1, 16, 16)
    assert data.labels == tuple(KINDS)
    assert data.train[1].tolist() == [0, 9, 1, 8, 2, 7, 3, 6, 4, 5]
    assert data.train[0][:, 0, 8, 8].tolist() == [0, 0, 10, 10, 20, 20, 30, 30, 40, 40]
    assert "CIFAR-10" in source.about


def test_cifar_is_looked_for_in_the_cache(cifar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_CACHE", str(cifar))
    assert source_of("cifar10").load(32, 3).train[0].shape == (10, 3, 32, 32)


def test_celeba_has_its_own_parts(celeba: Path) -> None:
    data = source_of(f"celeba:{celeba}").load(32, 3)
    assert data.train[0].shape == (3, 3, 32, 32)
    assert data.test[0].shape == (2, 3, 32, 32)
    assert data.labels == ()


def test_nothing_is_fetched_into_a_folder_of_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(_: object) -> None:
        pytest.fail("it fetches")

    for kind in (vision.CIFAR10, vision.CelebA):
        monkeypatch.setattr(kind, "download", fetch)
    for name, folder in (("cifar10", "cifar-10-batches-py"), ("celeba", "celeba")):
        with pytest.raises(DataMissing, match=f"has no whole {folder}; unpack"):
            source_of(f"{name}:{tmp_path}").load(32, 3)


def test_a_set_that_cannot_be_fetched_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(_: object) -> None:
        raise OSError("no way to the host")

    monkeypatch.setenv("ATELIER_CACHE", str(tmp_path))
    monkeypatch.setattr(vision.CIFAR10, "download", fetch)
    with pytest.raises(DataMissing, match="can't be fetched: no way to the host; unpack cifar-10"):
        source_of("cifar10").load(32, 3)


def test_a_set_of_ours_is_brought_to_another_size(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = torch.arange(6, dtype=torch.uint8).mul(40)[:, None, None, None].expand(-1, 1, 28, 28)
    data = Data((rows, torch.arange(6)), (rows[:2], torch.arange(2)), ("a", "b"))
    source = sets._built(lambda: data, "drawn", "Drawn.", "MIT", "MIT")
    loaded = source.load(16, 3)
    assert loaded.train[0].shape == (6, 3, 16, 16)
    assert loaded.train[0][:, 2, 5, 5].tolist() == [0, 40, 80, 120, 160, 200]
    assert (loaded.train[1].tolist(), loaded.labels) == (list(range(6)), ("a", "b"))
    assert source.load(28, 1).train[0] is rows


def test_every_name_is_known() -> None:
    assert {source_of(name).name for name in ("fashion", "emoji-faces", "sprites")} == {
        "fashion",
        "emoji-faces",
        "sprites",
    }


def test_a_folder_tells_its_last_part_alone(tmp_path: Path) -> None:
    source = source_of(str(draw_folder(tmp_path / "Holiday")))
    assert (source.name, source.data_licence, source.licence) == ("Holiday", OWN, OWN)
    assert str(tmp_path) not in source.about
    assert source.load(8, 3).train[0].shape[1:] == (3, 8, 8)


def test_what_is_neither_set_nor_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match=r"neither a folder nor the name of a set.*cifar10"):
        source_of("mnist")
    with pytest.raises(DataMissing, match=r"a\.png is a file"):
        source_of(str(draw(tmp_path / "a.png")))
