"""`atelier import`: a folder or a model in, a checkpoint out, or one line of why not."""

import json
import shutil
from pathlib import Path

import pytest

from models.checkpoint.header import COMPONENTS, GUIDE, read_header
from models.engine.flow import run_alone
from models.engine.noise import seeded
from models.params.diffusion import StableDiffusionParams
from tests.atelier.commands import Said, atelier, refused
from tests.models.convert.test_open_clip import TINY, net_of, written
from tests.models.families import load_family, tiny_checkpoint, tiny_guided
from tests.models.stable import tiny_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("Downloads"))


def imports(folder: Path, out: Path, *more: str) -> Said:
    return atelier("import", "diffusers", folder, "--out", out, *more)


def test_a_folder_becomes_a_checkpoint_that_needs_it_no_more(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    card = ("--title", "Mine", "--licence", "CreativeML Open RAIL-M")
    said = imports(copy, tmp_path, "--id", "mine", *card)
    path = tmp_path / "mine.safetensors"
    assert (said.status, said.out) == (0, f"{path}\n"), said.err
    shutil.rmtree(copy)
    header = json.loads(atelier("inspect", path).out)
    assert (header["title"], header["licence"]) == ("Mine", "CreativeML Open RAIL-M")
    assert not (tmp_path / COMPONENTS).exists()
    params = StableDiffusionParams(prompt="a red apple", steps=2)
    (picture,) = run_alone(load_family(path).generate(params, seeded(1)))
    assert picture.pixels.shape == (3, 64, 64)


def test_a_folder_is_called_what_it_is_called(folder: Path, tmp_path: Path) -> None:
    """Its name may have a dot in it, which is no suffix."""
    assert folder.name == "sd-1.x"
    assert imports(folder, tmp_path).out == f"{tmp_path / 'sd-1.x.safetensors'}\n"
    assert read_header(tmp_path / "sd-1.x.safetensors").family == "stable_diffusion"
    assert "is there already" in refused(imports(folder, tmp_path))


def test_what_can_not_be_imported_is_one_line(folder: Path, tmp_path: Path) -> None:
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    assert "is no folder" in refused(imports(file, tmp_path))
    assert "is no diffusers folder" in refused(imports(folder / "unet", tmp_path, "--id", "x"))
    assert "is no id" in refused(imports(folder, tmp_path, "--id", "No Id"))
    assert "is a folder" in refused(atelier("import", "dcgan", folder, "--out", tmp_path))
    assert list(tmp_path.iterdir()) == []
    said = atelier("import", "vae", folder)
    assert said.status == 2
    assert "No such command 'vae'" in said.err


def test_a_model_of_open_clip_becomes_a_part(tmp_path: Path) -> None:
    source = written(tmp_path, TINY, net_of(TINY).state_dict())
    out = tmp_path / "checkpoints"
    command = ("import", "open-clip", source.name, source.weights, "--out", out, "--id", "tiny")
    said = atelier(*command, "--licence", "MIT", "--title", "Tiny")
    path = out / COMPONENTS / "tiny.safetensors"
    assert (said.status, said.out) == (0, f"{path}\n"), said.err
    header = json.loads(atelier("inspect", path).out)
    assert (header["family"], header["title"], header["licence"]) == ("clip", "Tiny", "MIT")
    assert header["process"]["words"] == "all"
    assert "is there already" in refused(atelier(*command))
    assert atelier(*command, "--replace").status == 0
    unknown = atelier("import", "open-clip", "ViT-B32", source.weights, "--out", out)
    assert "near to it are" in refused(unknown)


@pytest.mark.slow
def test_a_clip_leads_what_is_imported_and_what_is_there(folder: Path, tmp_path: Path) -> None:
    tiny_guided(tmp_path, "diffusion")
    said = imports(folder, tmp_path, "--id", "sd", "--clip", "tiny-leader")
    assert said.status == 0, said.err
    assert read_header(tmp_path / "sd.safetensors").requires.keys() == {GUIDE}
    params = StableDiffusionParams(prompt="apple", steps=2, clip_guidance_scale=50.0)
    (guided,) = run_alone(load_family(tmp_path / "sd.safetensors").generate(params, seeded(1)))
    assert guided.pixels.shape == (3, 64, 64)
    refusal = refused(imports(folder, tmp_path, "--id", "other", "--clip", "lost"))
    assert "there is no part lost" in refusal
    said = atelier("attach-clip", "sd", "--clip", "tiny-leader", "--out", tmp_path)
    assert (said.status, said.out) == (0, f"{tmp_path / 'sd.safetensors'}\n"), said.err
    tiny_checkpoint(tmp_path, "vae")
    command = ("attach-clip", "tiny-vae", "--clip", "tiny-leader", "--out", tmp_path)
    assert "is no diffusion model" in refused(atelier(*command))
    assert "name a CLIP by --clip" in refused(atelier("attach-clip", "sd", "--out", tmp_path))
    assert "or detach it" in refused(atelier("attach-clip", "sd", "--clip", "x", "--none"))
    assert atelier("attach-clip", "sd", "--none", "--out", tmp_path).status == 0
    assert not read_header(tmp_path / "sd.safetensors").requires
    assert "was given no CLIP" in refused(atelier("attach-clip", "sd", "--none", "--out", tmp_path))
    assert "there is no lost" in refused(
        atelier("attach-clip", "lost", "--none", "--out", tmp_path)
    )
