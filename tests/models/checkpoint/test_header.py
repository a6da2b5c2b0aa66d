"""Headers are read and checked without torch; every way a file can be wrong has its message."""

import json
import pickle
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from models.checkpoint.header import CheckpointError, Requirement, component_path, read_header
from models.checkpoint.weights import load, read_foreign, save, weights_sha256
from models.registry import CheckpointRegistry
from tests.models.families import tiny_checkpoint


def written(path: Path, table: object, body: bytes = b"") -> Path:
    text = json.dumps(table).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return path


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return tiny_checkpoint(tmp_path, "vae")


def test_a_good_header_tells_its_card(good: Path) -> None:
    header = read_header(good)
    assert (header.family, header.net["latent"]) == ("vae", 8)


@pytest.mark.parametrize("left", [0, 4, 8, 100, 5000, -1])
def test_a_file_cut_short_is_refused_at_any_length(good: Path, left: int) -> None:
    whole = good.read_bytes()
    good.write_bytes(whole[:left])
    with pytest.raises(CheckpointError, match=r"cut short|not a safetensors"):
        read_header(good)
    with pytest.raises(CheckpointError):
        load(good)


@pytest.mark.parametrize(
    "table",
    [
        [],
        "text",
        {"w": 3},
        {"w": {"dtype": "F32"}},
        {"w": {"data_offsets": [0, "x"]}},
        {"__metadata__": "x"},
    ],
)
def test_a_table_of_another_form_is_refused(tmp_path: Path, table: object) -> None:
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        read_header(written(tmp_path / "x.safetensors", table))


def test_a_foreign_safetensors_file_is_told_to_be_imported(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="atelier import"):
        read_header(written(tmp_path / "x.safetensors", {"__metadata__": {"format": "pt"}}))


def test_a_broken_card_names_its_field(tmp_path: Path) -> None:
    card = {"family": "vae", "net": {}, "labels": 3}
    path = written(tmp_path / "x.safetensors", {"__metadata__": {"atelier": json.dumps(card)}})
    with pytest.raises(CheckpointError, match="labels"):
        read_header(path)


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(pickle.dumps({"w": 1}))
    with pytest.raises(CheckpointError):
        load(path)


class Exploit:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit",)


def test_a_foreign_file_with_code_in_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save({"net": Exploit()}, path)
    with pytest.raises(CheckpointError, match="no plain weights"):
        read_foreign(path)


def test_foreign_weights_are_found_under_their_key(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save({"epoch": 3, "net": {"w": torch.ones(2)}}, path)
    assert read_foreign(path, "net")["w"].tolist() == [1, 1]
    with pytest.raises(CheckpointError, match="name its entry: epoch, net"):
        read_foreign(path)
    with pytest.raises(CheckpointError, match="no entry 'other'"):
        read_foreign(path, "other")


def test_the_shelf_lists_what_is_usable_and_says_why_the_rest_is_not(tmp_path: Path) -> None:
    time = [0.0]
    registry = CheckpointRegistry(tmp_path, clock=lambda: time[0])
    assert registry.entries() == {}
    tiny_checkpoint(tmp_path, "vae")
    (tmp_path / "torn.safetensors").write_bytes(b"1234")
    card = json.dumps({"family": "oracle", "net": {}})
    written(tmp_path / "odd.safetensors", {"__metadata__": {"atelier": card}})
    (tmp_path / "Bad Name.safetensors").write_bytes(b"")
    assert registry.entries() == {}  # it looked within this second
    time[0] = 2.0
    assert list(registry.entries()) == ["tiny-vae"]
    refused = {i: str(e) for i, e in registry.look().items() if isinstance(e, CheckpointError)}
    assert set(refused) == {"torn", "odd", "Bad Name"}
    assert refused["odd"] == "its family is unknown: oracle"


def test_the_shelf_hashes_a_replaced_file_anew(tmp_path: Path) -> None:
    time = [0.0]
    registry = CheckpointRegistry(tmp_path, clock=lambda: time[0])
    tiny_checkpoint(tmp_path, "vae", seed=1)
    before = registry.entries()["tiny-vae"].sha256
    tiny_checkpoint(tmp_path, "vae", seed=2)
    time[0] = 2.0
    assert registry.entries()["tiny-vae"].sha256 != before


def test_the_shelf_tells_files_of_one_stem_apart(tmp_path: Path) -> None:
    time = [0.0]
    registry = CheckpointRegistry(tmp_path, clock=lambda: time[0])
    good = tiny_checkpoint(tmp_path, "vae")
    good.with_suffix(".pt").write_bytes(b"foreign")
    assert list(registry.entries()) == ["tiny-vae"]
    good.unlink()
    time[0] = 2.0
    assert registry.entries() == {}
    assert "atelier import" in str(registry.look()["tiny-vae"])


def test_a_model_counts_the_numbers_of_its_parts_as_its_own(tmp_path: Path) -> None:
    entry = CheckpointRegistry(tiny_checkpoint(tmp_path, "latent_diffusion").parent).entries()[
        "tiny-latent_diffusion"
    ]
    files = [
        entry.path,
        *(component_path(entry.path, need.id) for need in entry.header.requires.values()),
    ]
    assert len(files) == 3
    assert entry.elements == sum(t.numel() for path in files for t in load_file(path).values())


def test_a_model_whose_part_is_gone_is_not_listed_until_it_is_back(tmp_path: Path) -> None:
    time = [0.0]
    registry = CheckpointRegistry(tmp_path, clock=lambda: time[0])
    path = tiny_checkpoint(tmp_path, "latent_diffusion")
    component = component_path(path, read_header(path).requires["clip"].id)
    away = component.rename(tmp_path / "away")
    assert registry.entries() == {}
    refused = registry.look()["tiny-latent_diffusion"]
    assert str(refused) == f"it needs the part {component.stem}, which is not in the folder parts"
    time[0] = 2.0
    away.rename(component)
    assert list(registry.entries()) == ["tiny-latent_diffusion"]


def test_a_part_may_be_a_model_that_can_be_asked_for_itself(tmp_path: Path) -> None:
    time = [0.0]
    registry = CheckpointRegistry(tmp_path, clock=lambda: time[0])
    path = tiny_checkpoint(tmp_path, "latent_diffusion")
    need = read_header(path).requires["clip"]
    inside = component_path(path, need.id)
    beside = tmp_path / inside.name
    away = inside.rename(tmp_path / "away")
    assert registry.entries() == {}
    time[0] = 2.0
    away.rename(beside)
    assert list(registry.entries()) == ["tiny-latent_diffusion"]  # which a CLIP can't be, but it is
    assert weights_sha256(load(path).requires["clip"].tensors) == need.weights
    time[0] = 4.0
    beside.unlink()
    assert registry.entries() == {}


def test_a_part_has_no_parts(tmp_path: Path) -> None:
    path = tiny_checkpoint(tmp_path, "latent_diffusion")
    need = read_header(path).requires["clip"]
    where = component_path(path, need.id)
    checkpoint = load(where)
    round_and_round = checkpoint.header.model_copy(update={"requires": {"clip": need}})
    save(where, round_and_round, checkpoint.tensors)
    with pytest.raises(CheckpointError, match="needs the part tiny-clip, which needs others"):
        load(path)
    itself = load(tiny_checkpoint(tmp_path, "vae"))
    looped = itself.header.model_copy(
        update={"requires": {"clip": Requirement(id="me", weights="a" * 64)}}
    )
    save(tmp_path / "me.safetensors", looped, itself.tensors)
    with pytest.raises(CheckpointError, match="needs the part me, which needs others"):
        load(tmp_path / "me.safetensors")


def test_of_two_folders_the_first_counts(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    other = tiny_checkpoint(second, "vae", seed=1)
    tiny_checkpoint(second, "gan")
    registry = CheckpointRegistry(first, second, every=0)
    assert list(registry.entries()) == ["tiny-gan", "tiny-vae"]
    assert registry.entries()["tiny-vae"].path == other
    own = tiny_checkpoint(first, "vae", seed=2)
    assert registry.entries()["tiny-vae"].path == own
    own.unlink()
    assert registry.entries()["tiny-vae"].path == other
