"""`atelier import`, `inspect` and `train`, on real files."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from models.artifacts import Image
from models.checkpoint.header import file_sha256
from models.checkpoint.weights import load
from models.engine.batching import Placement
from models.engine.flow import run_alone
from models.families import FAMILIES
from models.nets.dcgan import Generator
from tests.atelier.commands import atelier, refused
from tests.conftest import save_vae
from workers.encoders.encode import encode
from workers.encoders.types import Facts

NET = {"latent": 12, "width": 4, "channels": 1, "size": 32}
FACTS = Facts("vae-fashion", "ab" * 32, {"temperature": 0.5}, 2**53 - 1)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A generator's weights as the tutorials save them."""
    path = tmp_path / "Weights.pt"
    torch.save({"netG": Generator(**NET).state_dict(), "epoch": torch.tensor(3)}, path)
    return path


def picture_of(path: Path, seed: int) -> Image:
    checkpoint = load(path)
    entry = FAMILIES[checkpoint.header.family]
    family = entry.load(checkpoint, Placement(torch.device("cpu")))
    rng = torch.Generator().manual_seed(seed)
    (picture,) = run_alone(family.generate(entry.params(), rng))
    assert isinstance(picture, Image)
    return picture


def test_foreign_weights_become_a_checkpoint(weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "checkpoints"
    card = ("--title", "Small", "--licence", "MIT", "--data", "Noise")
    said = atelier("import", "dcgan", weights, "--key", "netG", "--out", out, *card)
    assert (said.status, said.out) == (0, f"{out / 'weights.safetensors'}\n"), said.err
    assert picture_of(out / "weights.safetensors", 0).pixels.shape == (1, 32, 32)
    header = json.loads(atelier("inspect", out / "weights.safetensors").out)
    assert header["net"] == {"kind": "dcgan", **NET}
    assert (header["title"], header["licence"], header["data"]) == ("Small", "MIT", "Noise")
    assert header["sha256"] == file_sha256(out / "weights.safetensors")


@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_net_is_read_off_the_shapes(prefix: str, tmp_path: Path) -> None:
    net = {"latent": 7, "width": 2, "channels": 3, "size": 16}
    weights = Generator(**net).state_dict()
    old = {prefix + k: v for k, v in weights.items() if not k.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "old.pth")
    said = atelier("import", "dcgan", tmp_path / "old.pth", ATELIER_CHECKPOINTS=str(tmp_path))
    assert said.status == 0, said.err
    assert load(tmp_path / "old.safetensors").header.net == {"kind": "dcgan", **net}


def test_a_checkpoint_is_never_overwritten(weights: Path, tmp_path: Path) -> None:
    command = ("import", "dcgan", weights, "--key", "netG", "--out", tmp_path, "--id", "one")
    assert atelier(*command).status == 0
    assert "one.safetensors is there already" in refused(atelier(*command))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dcgan"], "name its entry: epoch, netG"),
        (["dcgan", "--key", "netD"], "has no entry 'netD'"),
        (["dcgan", "--key", "netG", "--id", "No Id"], "is no id"),
    ],
)
def test_what_cannot_be_imported_is_one_line(
    weights: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    family, *options = arguments
    said = atelier("import", family, weights, *options, "--out", tmp_path / "out")
    assert message in refused(said)
    assert not (tmp_path / "out").exists()


def test_weights_of_another_net_are_refused(tmp_path: Path) -> None:
    torch.save({"conv.weight": torch.zeros(3, 3, 3, 3)}, tmp_path / "other.pt")
    refused(atelier("import", "dcgan", tmp_path / "other.pt", "--out", tmp_path))


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (os.mkdir, (str(tmp_path / "trapped"),))

    torch.save({"w": Trap()}, tmp_path / "trap.pt")
    assert "no plain weights" in refused(atelier("import", "dcgan", tmp_path / "trap.pt"))
    assert not (tmp_path / "trapped").exists()


@pytest.mark.needs_package("gan-face-generate")
def test_the_faces_of_a_published_package(tmp_path: Path) -> None:
    spec = find_spec("gan_face_generate")
    assert spec is not None
    assert spec.origin is not None
    weights = Path(spec.origin).with_name("weights.tar")
    key = ("--key", "netG_state_dict", "--id", "dcgan-face", "--out", tmp_path)
    said = atelier("import", "dcgan", weights, *key)
    assert said.status == 0, said.err
    path = tmp_path / "dcgan-face.safetensors"
    assert load(path).header.net == {"latent": 100, "width": 64, "channels": 3, "size": 64}
    first, again, other = (picture_of(path, seed).pixels for seed in (0, 0, 1))
    assert first.shape == (3, 64, 64)
    assert torch.equal(first, again)
    assert (first - other).abs().mean() > 0.05  # faces, not one grey: they differ
    assert (first[:, 1:] - first[:, :-1]).abs().mean() < 0.1  # and not noise: neighbours agree


@pytest.mark.parametrize("output_format", ["png", "webp", "jpeg"])
def test_a_picture_says_what_made_it(output_format: str, tmp_path: Path) -> None:
    file = tmp_path / "picture"  # by its bytes, whatever it is called
    file.write_bytes(encode(Image(torch.rand(3, 8, 8)), output_format, FACTS)[0].data)
    assert json.loads(atelier("inspect", file).out) == json.loads(FACTS.text())


def test_inspect_leaves_torch_out(checkpoints: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode(Image(torch.zeros(1, 8, 8)), "png", FACTS)[0].data)
    files = [str(tmp_path / "a.png"), str(*checkpoints.iterdir())]
    code = f"""
import sys
from pathlib import Path
from atelier.cli.file_facts import inspect
for file in {files}:
    inspect(Path(file))
raise SystemExit("torch" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_what_says_nothing_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    assert "no file" in refused(atelier("inspect", file))
    file.write_bytes(b"text")
    assert "no picture, sound, score, video or checkpoint" in refused(atelier("inspect", file))
    whole = encode(Image(torch.zeros(1, 8, 8)), "png", FACTS)[0].data
    file.write_bytes(whole[:20])
    refused(atelier("inspect", file))
    file.write_bytes(whole.replace(b"atelier", b"another"))
    refused(atelier("inspect", file))
    broken = save_vae(tmp_path / "cut.safetensors")
    broken.write_bytes(broken.read_bytes()[:-1])
    assert "cut short" in refused(atelier("inspect", broken))


def test_an_unknown_recipe_is_one_line(tmp_path: Path) -> None:
    said = atelier("train", "nonsense", "--out", tmp_path, "--runs", tmp_path)
    assert "no recipe 'nonsense'; there are" in refused(said)
