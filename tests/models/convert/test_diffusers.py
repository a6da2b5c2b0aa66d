"""Folders as diffusers has them, of every age and make, and what is wrong with the others."""

import codecs
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler
from safetensors.torch import load_file, save_file
from torch import Tensor

from models.checkpoint.configs import DiffusionProcess
from models.checkpoint.header import CheckpointError
from models.checkpoint.weights import load
from models.convert.diffusers_scheduler import KNOWN, process_of, sampler_of
from models.convert.importers import import_weights
from models.diffusion.noise_schedule import NoiseSchedule
from models.diffusion.stable_diffusion_tokenizer import PromptTokenizer
from tests.models.stable import MARKS, MERGES, PROCESS, VOCAB, tiny_folder
from tests.models.stable import TEXT_ENCODER as TEXT_CONFIG
from tests.models.stable import UNET as UNET_CONFIG
from tests.models.stable import VAE as VAE_CONFIG

pytestmark = pytest.mark.filterwarnings("ignore:__array_:DeprecationWarning")

UNET = "unet/diffusion_pytorch_model.safetensors"
VAE = "vae/diffusion_pytorch_model.safetensors"
TEXT = "text_encoder/model.safetensors"
SCHEDULER = "scheduler/scheduler_config.json"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is never changed."""
    return tiny_folder(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def tensors(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    """What it becomes."""
    return imported(whole, tmp_path_factory.mktemp("out"))


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy to be changed."""
    return Path(shutil.copytree(whole, tmp_path / "folder"))


def imported(folder: Path, out: Path) -> dict[str, Tensor]:
    return load(import_weights("diffusers", folder, None, out, "sd", {})).tensors


def change(path: Path, **changes: Any) -> None:
    """Entries of a JSON file set, or with ... taken out."""
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in config.items() if v is not ...}))


def rename(path: Path, name: Callable[[str], str]) -> None:
    save_file({name(k): v.clone() for k, v in load_file(path).items()}, path)


def test_the_card_tells_what_the_folder_told(whole: Path, tmp_path: Path) -> None:
    card = {"title": "Mine", "licence": "OpenRAIL", "data": "unknown"}
    header = load(import_weights("diffusers", whole, None, tmp_path, "mine", card)).header
    assert (header.family, header.title, header.licence) == ("stable_diffusion", "Mine", "OpenRAIL")
    assert {k: header.process[k] for k in PROCESS} == PROCESS
    assert header.defaults == {"width": 64, "height": 64, "steps": 30, "sampler": "ddim"}
    assert header.limits == {"width": (16, 128), "height": (16, 128), "steps": (1, 999)}
    assert "safety checker is left out" in header.limitations
    assert header.net["unet"]["attention_head_dim"] == [2, 4]  # type: ignore[index, call-overload]
    assert str(tmp_path) not in header.model_dump_json()


def test_a_folder_gives_the_same_bytes_again(whole: Path, tmp_path: Path) -> None:
    one, other = (
        import_weights("diffusers", whole, None, tmp_path / name, "sd", {}) for name in ("a", "b")
    )
    assert one.read_bytes() == other.read_bytes()


def in_shards(folder: Path) -> None:
    """As large nets are saved."""
    path = folder / UNET
    tensors = load_file(path)
    names = sorted(tensors)
    parts = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, own in parts.items():
        save_file({n: tensors[n] for n in own}, path.with_name(file))
    index = {"metadata": {}, "weight_map": {n: f for f, own in parts.items() for n in own}}
    path.with_name(f"{path.name}.index.json").write_text(json.dumps(index))
    path.unlink()


def as_pickles(folder: Path) -> None:
    """As folders were before safetensors."""
    for file, name in ((UNET, None), (VAE, None), (TEXT, "pytorch_model.bin")):
        path = folder / file
        torch.save(load_file(path), path.with_name(name or f"{path.stem}.bin"))
        path.unlink()


def by_old_names(folder: Path) -> None:
    """As Stable Diffusion 1.x was published."""
    new = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}

    def old(name: str) -> str:
        for today, then in new.items():
            name = name.replace(f".{today}.", f".{then}.")
        return name

    rename(folder / VAE, lambda name: old(name) if ".attentions." in name else name)
    path = folder / TEXT
    tensors = {f"text_model.{k}": v for k, v in load_file(path).items()}
    tensors["text_model.embeddings.position_ids"] = torch.arange(16)[None]
    save_file(tensors, path)


def with_old_names(folder: Path, pad: str = MARKS[1]) -> None:
    """As tokenizers were saved by earlier versions of transformers."""
    tokenizer_folder = folder / "tokenizer"
    (tokenizer_folder / "tokenizer.json").unlink()
    (tokenizer_folder / "vocab.json").write_text(json.dumps(VOCAB))
    (tokenizer_folder / "merges.txt").write_text("\n".join(["#version: 0.2", *MERGES, ""]))
    old = {"__type": "AddedToken", "lstrip": False, "normalized": True, "rstrip": False}
    begin, end = ({**old, "content": mark, "single_word": False} for mark in MARKS)
    marks = {"bos_token": begin, "eos_token": end, "unk_token": end, "pad_token": MARKS[1]}
    more = {"do_lower_case": True, "errors": "replace", "model_max_length": 77}
    (tokenizer_folder / "tokenizer_config.json").write_text(json.dumps({**marks, **more}))
    (tokenizer_folder / "special_tokens_map.json").write_text(
        json.dumps({**marks, "pad_token": pad})
    )


def with_short_names(folder: Path) -> None:
    """With no more in their configurations than versions of 1.x and 2.x were published with."""
    kept = {*UNET_CONFIG, *VAE_CONFIG, *TEXT_CONFIG, "_class_name", "_diffusers_version"}
    kept |= {"beta_start", "beta_end", "beta_schedule", "set_alpha_to_one", "prediction_type"}
    for file in ("unet/config.json", "vae/config.json", "text_encoder/config.json", SCHEDULER):
        config = json.loads((folder / file).read_text())
        change(folder / file, **dict.fromkeys(config.keys() - kept, ...))


def half_beside_whole(folder: Path) -> None:
    """With a second file of each net, in half precision."""
    for file in (UNET, VAE, TEXT):
        path = folder / file
        half = {k: v.half() for k, v in load_file(path).items()}
        save_file(half, path.with_name(f"{path.stem}.fp16.safetensors"))


def with_byte_order_marks(folder: Path) -> None:
    """As some editors save JSON."""
    for file in (*folder.glob("*/*config.json"), folder / "model_index.json"):
        if file.parent.name != "tokenizer":
            file.write_bytes(codecs.BOM_UTF8 + file.read_bytes())


def with_options_of_another_version(folder: Path) -> None:
    """With options that the installed diffusers does not know, null or set: it leaves them out."""
    for component in ("unet", "vae", "text_encoder"):
        change(folder / component / "config.json", of_tomorrow=None, force_more=True)
    change(folder / SCHEDULER, of_tomorrow=None, trained_betas=None, num_train_timesteps=1000.0)


def as_image_to_image(folder: Path) -> None:
    """As saved by a pipeline of the same parts."""
    change(folder / "model_index.json", _class_name="StableDiffusionImg2ImgPipeline")


def not_averaged(folder: Path) -> None:
    """With the weights of the last step alone."""
    path = folder / UNET
    path.rename(path.with_name(f"{path.stem}.non_ema.safetensors"))


FORMS = [
    with_byte_order_marks,
    with_options_of_another_version,
    as_image_to_image,
    not_averaged,
    in_shards,
    as_pickles,
    by_old_names,
    with_old_names,
    with_short_names,
    half_beside_whole,
]


@pytest.mark.parametrize("form", FORMS)
def test_a_folder_of_any_make_becomes_the_same(
    folder: Path, tmp_path: Path, tensors: dict[str, Tensor], form: Callable[[Path], None]
) -> None:
    form(folder)
    got = imported(folder, tmp_path / "out")
    assert got.keys() == tensors.keys()
    for name, tensor in got.items():
        if not name.startswith("tokenizer."):  # as many words, in bytes that may be others
            assert torch.equal(tensor, tensors[name]), name
    mine, others = (
        PromptTokenizer.of(dict.fromkeys(("bos_token",), "<|startoftext|>"), x, 16)
        for x in (got, tensors)
    )
    assert torch.equal(mine.encode("a red apple").tokens, others.encode("a red apple").tokens)


def test_what_pads_is_told_by_the_map_of_marks(folder: Path, tmp_path: Path) -> None:
    """2.x pads with another token than its tokenizer's configuration says."""
    with_old_names(folder, pad="!")
    header = load(import_weights("diffusers", folder, None, tmp_path, "sd", {})).header
    assert header.net["tokenizer"] == {  # type: ignore[comparison-overlap]
        "bos_token": MARKS[0],
        "eos_token": MARKS[1],
        "unk_token": MARKS[1],
        "pad_token": "!",
    }


@pytest.mark.parametrize(("version", "side"), [("0.6.0", 512), ("0.9.0", 64), ("0.42.1", 64)])
def test_the_size_that_old_versions_wrote_is_mended(
    folder: Path, tmp_path: Path, version: str, side: int
) -> None:
    """1.5 was published with 32 latents a side; here it is 8."""
    change(folder / "unet/config.json", _diffusers_version=version)
    header = load(import_weights("diffusers", folder, None, tmp_path, "sd", {})).header
    assert header.defaults["width"] == header.defaults["height"] == side


def test_a_size_that_is_not_there_is_the_usual_one(folder: Path, tmp_path: Path) -> None:
    change(folder / "unet/config.json", sample_size=None)
    header = load(import_weights("diffusers", folder, None, tmp_path, "sd", {})).header
    assert header.net["unet"]["sample_size"] == 64  # type: ignore[index, call-overload]


def test_betas_of_a_schedule_without_a_name_are_taken_one_by_one() -> None:
    betas = torch.linspace(1e-4, 0.02, 1000)
    config = {"_class_name": "DDIMScheduler", "trained_betas": betas.tolist()}
    scheduler: Any = DDIMScheduler(trained_betas=betas.tolist())
    theirs = scheduler.alphas_cumprod
    assert torch.equal(
        NoiseSchedule.of(DiffusionProcess.parse(process_of(config))).alpha_bar, theirs
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_stay_as_precise_as_they_were(
    folder: Path, tmp_path: Path, dtype: torch.dtype
) -> None:
    path = folder / UNET
    half = {k: v.to(dtype) for k, v in load_file(path).items()}
    path.unlink()
    save_file(half, path.with_name("diffusion_pytorch_model.fp16.safetensors"))
    got = imported(folder, tmp_path / "out")
    assert {t.dtype for k, t in got.items() if k.startswith("unet.")} == {dtype}
    assert {t.dtype for k, t in got.items() if k.startswith("vae.")} == {torch.float32}


LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
WRONG: list[tuple[Callable[[Path], Any], str]] = [
    (lambda f: (f / "model_index.json").unlink(), "it has no model_index.json"),
    (lambda f: (f / "model_index.json").write_text("{"), "model_index.json can't be read"),
    (lambda f: (f / "model_index.json").write_text("[]"), "model_index.json holds no object"),
    (
        lambda f: change(f / "model_index.json", _class_name="StableDiffusionXLPipeline"),
        "is a StableDiffusionXLPipeline; only a StableDiffusionPipeline can be imported",
    ),
    (
        lambda f: change(f / "model_index.json", _class_name="FluxPipeline"),
        "is a FluxPipeline; only a StableDiffusionPipeline can be imported",
    ),
    (lambda f: change(f / "model_index.json", unet=[None, None]), "has no unet, says its"),
    (lambda f: change(f / "model_index.json", vae=...), "has no vae, says its model_index"),
    (
        lambda f: change(f / "model_index.json", vae=["diffusers", "AutoencoderTiny"]),
        "its vae must be AutoencoderKL, not AutoencoderTiny",
    ),
    (lambda f: (f / "unet/config.json").unlink(), "unet/config.json is missing"),
    (lambda f: (f / "vae/config.json").unlink(), "vae/config.json is missing"),
    (lambda f: (f / SCHEDULER).unlink(), "scheduler/scheduler_config.json is missing"),
    (lambda f: shutil.rmtree(f / "tokenizer"), "tokenizer/vocab.json is missing"),
    (lambda f: (f / "tokenizer/tokenizer.json").write_text("{}"), "tokenizer can't be read"),
    (lambda f: (f / UNET).unlink(), "unet has no weights: diffusion_pytorch_model.safetensors"),
    (lambda f: (f / TEXT).unlink(), "text_encoder has no weights: model.safetensors is missing"),
    (lambda f: (f / VAE).write_bytes(b"cut"), f"{VAE} holds no plain weights: it is damaged"),
    (
        lambda f: (f / UNET).write_bytes((f / UNET).read_bytes()[:-1]),
        f"{UNET} holds no plain weights: it is damaged",
    ),
    (lambda f: change(f / "unet/config.json", in_channels=9), "shape"),
    (lambda f: change(f / "text_encoder/config.json", hidden_size=31), "can't be built"),
    (lambda f: rename(f / VAE, lambda n: n + "x" if "conv_in" in n else n), "conv_in.bias"),
    (lambda f: change(f / SCHEDULER, _class_name="FlowMatchEuler"), "must be one of DDIMSch"),
    (lambda f: change(f / SCHEDULER, beta_schedule="sigmoid"), "beta_schedule must be one of"),
    (lambda f: change(f / SCHEDULER, prediction_type="flow"), "prediction_type must be one of"),
    (lambda f: change(f / SCHEDULER, trained_betas=[0.1]), "trained_betas must be 1000 numbers"),
    (lambda f: change(f / SCHEDULER, trained_betas=["x"] * 1000), "trained_betas must be 1000"),
    (lambda f: change(f / SCHEDULER, beta_end="0.012"), "beta_end must be a number"),
    (
        lambda f: (f / VAE).write_text("<!DOCTYPE html><html>"),
        f"{VAE} holds no weights: it is a web",
    ),
    (lambda f: (f / UNET).write_text(LFS), f"{UNET} holds no weights: it is a Git LFS pointer"),
    (lambda f: (f / SCHEDULER).write_text(LFS), "can't be read: it is a Git LFS pointer"),
    (lambda f: change(f / SCHEDULER, timestep_spacing="odd"), "spacing must be one of"),
    (
        lambda f: change(f / SCHEDULER, rescale_betas_zero_snr=True),
        "predicts eps finds no picture",
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize(("harm", "message"), WRONG)
def test_what_is_wrong_with_a_folder_is_told(
    folder: Path, tmp_path: Path, harm: Callable[[Path], Any], message: str
) -> None:
    harm(folder)
    with pytest.raises(CheckpointError) as caught:
        imported(folder, tmp_path / "out")
    assert message in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_missing_shard_is_named(folder: Path, tmp_path: Path) -> None:
    in_shards(folder)
    (folder / "unet/b.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"unet/b.safetensors is missing"):
        imported(folder, tmp_path)


def test_an_index_can_name_no_file_elsewhere(folder: Path, tmp_path: Path) -> None:
    in_shards(folder)
    index = folder / f"{UNET}.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "../vae/a.safetensors"}}))
    with pytest.raises(CheckpointError, match="names a file elsewhere"):
        imported(folder, tmp_path)


def test_a_pickle_that_would_run_code_is_refused(folder: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (os.mkdir, (str(tmp_path / "trapped"),))

    (folder / UNET).unlink()
    torch.save({"w": Trap()}, folder / "unet/diffusion_pytorch_model.bin")
    with pytest.raises(CheckpointError, match="no plain weights"):
        imported(folder, tmp_path)
    assert not (tmp_path / "trapped").exists()


def test_words_added_to_a_tokenizer_are_refused(folder: Path, tmp_path: Path) -> None:
    from transformers import CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    tokenizer.add_tokens(["<my-cat>"])
    tokenizer.save_pretrained(folder / "tokenizer")
    with pytest.raises(CheckpointError, match="has words added to it"):
        imported(folder, tmp_path)


def test_parts_that_do_not_fit_together_are_refused(
    folder: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tiny_folder(tmp_path_factory.mktemp("other"), narrow=True)
    shutil.rmtree(folder / "text_encoder")
    shutil.copytree(other / "text_encoder", folder / "text_encoder")
    with pytest.raises(CheckpointError, match=r"U-Net reads 32 numbers a token, and .* writes 16"):
        imported(folder, tmp_path)


def test_a_net_that_repaints_is_refused(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tiny_folder(tmp_path_factory.mktemp("other"), channels=9)
    with pytest.raises(CheckpointError, match="takes 9 channels and gives 4"):
        imported(folder, tmp_path)


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_schedulers_mean_what_diffusers_means_by_what_they_do_not_tell(name: str) -> None:
    import diffusers

    whole = dict(getattr(diffusers, name)().config)
    explicit, bare = process_of({**whole, "_class_name": name}), process_of({"_class_name": name})
    assert explicit == bare
    assert sampler_of({"_class_name": name}) in ("ddim", "euler", "heun", "dpmpp_2m")


def test_karras_sigmas_are_a_spacing() -> None:
    config = {"_class_name": "EulerDiscreteScheduler", "use_karras_sigmas": True}
    assert process_of(config)["spacing"] == "karras"
