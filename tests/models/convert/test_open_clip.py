"""An open_clip model as a part: it reads, tells and sees what open_clip does, or is refused."""

import json
import zipfile
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from open_clip.factory import get_model_config
from open_clip.model import CLIP as PlainCLIP  # noqa: N811
from open_clip.model import CustomTextCLIP
from open_clip.tokenizer import SimpleTokenizer
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image as Pillow
from safetensors.torch import save_file
from torch import nn

from models.checkpoint.header import CheckpointError
from models.checkpoint.weights import load
from models.clip.clip import CLIP
from models.convert.importers import import_clip
from models.convert.open_clip import OpenClipSource
from models.engine.batching import Placement

CPU = torch.device("cpu")
TINY: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
}
RESNET = {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "head_width": 32}
TIMM = {"timm_model_name": "test_efficientnet", "timm_pool": "avg", "image_size": 160}
ROPE = get_model_config("PE-Core-T-16-384")["vision_cfg"]
TEXTS = [
    "A red Apple",
    "日本 &amp; ünïcode 42!",
    "",
    "the quick brown fox jumps over the lazy dog twice",
]


def changed(**parts: Any) -> dict[str, Any]:
    """The tiny configuration, whose towers have something besides."""
    whole: dict[str, Any] = json.loads(json.dumps(TINY))
    for name, value in parts.items():
        whole[name] = whole.get(name, {}) | value if isinstance(value, dict) else value
    return whole


KINDS: dict[str, dict[str, Any]] = {
    "vit": TINY,
    "quick_gelu": changed(quick_gelu=True),
    "resnet": {**TINY, "vision_cfg": RESNET},
    "timm": {**TINY, "vision_cfg": TIMM, "custom_text": True},
    "rope": {
        **TINY,
        "embed_dim": 512,
        "vision_cfg": ROPE,
        "custom_text": True,
    },
    "both ways": changed(text_cfg={"no_causal_mask": True}, custom_text=True),
    "biased": changed(init_logit_bias=-10.0, nonscalar_logit_scale=True),
}


def net_of(config: dict[str, Any]) -> Any:
    """The model as open_clip makes it, with random weights."""
    torch.manual_seed(0)
    own = {name: value for name, value in config.items() if name != "custom_text"}
    return (CustomTextCLIP if config.get("custom_text") else PlainCLIP)(**own).eval()


def written(
    folder: Path, config: dict[str, Any], tensors: dict[str, torch.Tensor]
) -> OpenClipSource:
    (folder / "mine.json").write_text(json.dumps(config))
    save_file({k: t.contiguous() for k, t in tensors.items()}, folder / "mine.safetensors")
    return OpenClipSource(str(folder / "mine.json"), folder / "mine.safetensors")


def imported(folder: Path, source: OpenClipSource) -> CLIP:
    return CLIP(load(import_clip(source, folder, "mine", False, {})), Placement(CPU))


def compare(ours: CLIP, theirs: nn.Module, context: int) -> None:
    """Tokens alike, and what is told and seen within 1e-5."""
    tokens = SimpleTokenizer(context_length=context)(TEXTS)
    read = [ours.tokens(ours.tokenizer.read_text(text, context).rows) for text in TEXTS]
    assert torch.equal(torch.stack(read), tokens)
    pictures = torch.rand(2, 3, ours.side, ours.side)
    mean, std = (torch.tensor(x)[:, None, None] for x in (ours.sight.mean, ours.sight.std))
    with torch.no_grad():
        text: Any = theirs.encode_text(tokens, normalize=True)  # type: ignore[operator]
        assert torch.allclose(ours.encode.fn(tokens)[1], text, atol=1e-5)
        image: Any = theirs.encode_image((pictures - mean) / std, normalize=True)  # type: ignore[operator]
        whole = torch.tensor([[1.0, 0.0, 0.0]]).expand(2, 1, 3)
        alike = ours.similarity(pictures * 2 - 1, text[:2], whole)
        assert torch.allclose(alike, (image * text[:2]).sum(1), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_it_tells_and_sees_as_open_clip_does(kind: str, tmp_path: Path) -> None:
    theirs = net_of(KINDS[kind])
    source = written(tmp_path, KINDS[kind], theirs.state_dict())
    compare(imported(tmp_path, source), theirs, 12)


@pytest.mark.slow
def test_a_stock_model_by_its_name(tmp_path: Path) -> None:
    """The smallest there is, in half precision, as a training run saves it."""
    name = "ViT-S-32-alt"
    theirs = net_of(get_model_config(name)).half()
    tensors = {f"module.{k}": t for k, t in theirs.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": tensors}, tmp_path / "epoch_3.pt")
    ours = imported(tmp_path, OpenClipSource(name, tmp_path / "epoch_3.pt"))
    assert ours.sight.mean == open_clip.OPENAI_DATASET_MEAN
    assert ours.sight.std == open_clip.OPENAI_DATASET_STD
    compare(ours, theirs.float(), 77)


def test_a_picture_is_shown_as_open_clips_transform_shows_it(tmp_path: Path) -> None:
    """Theirs works on bytes, so that it rounds, and once on the way: each by 0.015 at most."""
    ours = imported(tmp_path, written(tmp_path, TINY, net_of(TINY).state_dict()))
    rng = torch.Generator().manual_seed(0)
    smooth = torch.nn.functional.interpolate(
        torch.rand(1, 3, 6, 6, generator=rng), (90, 90), mode="bicubic"
    )
    bytes_ = (smooth.clamp(0, 1) * 255).round()
    picture = Pillow.fromarray(bytes_[0].byte().movedim(0, -1).numpy())
    theirs = image_transform_v2(PreprocessCfg(size=32), is_train=False)(picture)
    own = ours.sight.normalized(ours.sight.brought(bytes_ / 127.5 - 1, 32))
    assert torch.allclose(own[0], theirs, atol=0.04)
    grey = ours.sight.brought(torch.zeros(2, 1, 40, 64), 32)
    assert grey.shape == (2, 3, 32, 51)


def test_how_pictures_are_shown_is_taken_from_where_it_is_told(tmp_path: Path) -> None:
    tensors = net_of(TINY).state_dict()
    fields = {"model_cfg": TINY, "preprocess_cfg": {"mean": [0.1, 0.2, 0.3], "std": [1, 1, 1]}}
    ours = imported(tmp_path, written(tmp_path, fields, tensors))
    assert (ours.sight.mean, ours.sight.std) == ((0.1, 0.2, 0.3), (1.0, 1.0, 1.0))
    from models.convert.open_clip import _configured

    here = tmp_path / "mine.safetensors"
    half = [0.5, 0.5, 0.5]
    assert _configured(OpenClipSource("PE-Core-T-16-384", here))[1]["mean"] == half
    tag = OpenClipSource("ViT-L-14", here, "laion2b_s32b_b82k")
    assert _configured(tag)[1]["mean"] == half
    assert _configured(OpenClipSource("ViT-L-14", here))[1]["mean"] == [
        *open_clip.OPENAI_DATASET_MEAN
    ]
    openai, config = OpenClipSource("ViT-B-32", here, "openai"), "quick_gelu"
    assert _configured(openai)[0][config] is True


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "hf tower": (changed(text_cfg={"hf_model_name": "roberta-base"}), "transformers' roberta-base"),
    "hf words": (changed(text_cfg={"hf_tokenizer_name": "timm/x"}), "by the tokenizer timm/x"),
    "coca": (changed(multimodal_cfg={"width": 16}), "is a CoCa"),
    "few tokens": (changed(text_cfg={"vocab_size": 512}), "knows 512 tokens"),
    "pooling": (changed(text_cfg={"pool_type": "last"}), "pool_type 'last'"),
    "class token": (changed(text_cfg={"embed_cls": True}), "embed_cls True"),
    "strange": (changed(wings=2), "has wings"),
    "misspelt": (changed(vision_cfg={"with": 16}), "can't be built"),
    "uneven": (changed(text_cfg={"heads": 3}), "can't be built"),
    "no towers": ({"embed_dim": 16}, "must have embed_dim, text_cfg, vision_cfg"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_would_work_otherwise_is_refused(kind: str, tmp_path: Path) -> None:
    config, message = REFUSED[kind]
    source = written(tmp_path, config, {"w": torch.zeros(1)})
    with pytest.raises(CheckpointError, match=message):
        import_clip(source, tmp_path, "mine", False, {})
    assert not (tmp_path / "parts").exists()


@pytest.mark.parametrize(
    ("name", "tag", "message"),
    [
        ("ViT-B32", None, "near to it are .*ViT-B-32"),
        ("qqqqqq", None, "list_models"),
        ("hf-hub:some/model", None, "no model 'hf-hub:some/model'"),
        ("coca_ViT-B-32", None, "is a CoCa"),
        ("ViT-B-16-SigLIP", None, "by the tokenizer"),
        ("roberta-ViT-B-32", None, "transformers' roberta-base"),
        ("ViT-B-32", "openia", "no tag 'openia'; it has openai"),
        ("lost.json", None, "lost.json can't be read"),
        ("lost.json", "openai", "leave --pretrained out"),
    ],
)
def test_an_unknown_name_is_told_with_near_ones(
    name: str, tag: str | None, message: str, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=message):
        import_clip(OpenClipSource(name, tmp_path / "x.pt", tag), tmp_path, "mine", False, {})


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("text_projection", None, "lacks the tensor text.text_projection"),
        ("ln_final.weight", None, "lacks the tensor text.ln_final.weight"),
        ("visual.odd", torch.zeros(2), "unknown tensor visual.odd"),
        ("visual.proj", torch.zeros(2, 2), r"visual.proj has shape \(2, 2\)"),
        ("visual.conv1.weight", torch.full((32, 3, 8, 8), torch.nan), "not finite"),
    ],
)
def test_weights_that_do_not_fit_are_told_by_name(
    name: str, tensor: torch.Tensor | None, message: str, tmp_path: Path
) -> None:
    config = {**TINY, "custom_text": tensor is None}
    tensors = {
        k: t for k, t in net_of(config).state_dict().items() if k.removeprefix("text.") != name
    }
    if tensor is not None:
        tensors[name] = tensor
    with pytest.raises(CheckpointError, match=message):
        import_clip(written(tmp_path, config, tensors), tmp_path, "mine", False, {})


def test_a_file_cut_short_or_with_code_in_it_is_refused(tmp_path: Path) -> None:
    source = written(tmp_path, TINY, net_of(TINY).state_dict())
    source.weights.write_bytes(source.weights.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"mine\.safetensors holds no plain weights"):
        import_clip(source, tmp_path, "mine", False, {})
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:
        archive.writestr("script/code/__torch__.py", "raise SystemExit")
    with pytest.raises(CheckpointError, match="is a TorchScript archive"):
        import_clip(
            OpenClipSource(source.name, tmp_path / "script.pt"), tmp_path, "mine", False, {}
        )


def test_an_id_is_taken_until_it_is_given_up(tmp_path: Path) -> None:
    source = written(tmp_path, TINY, net_of(TINY).state_dict())
    first = import_clip(source, tmp_path, "mine", False, {"licence": "MIT"})
    assert first == tmp_path / "parts" / "mine.safetensors"
    with pytest.raises(CheckpointError, match="is there already"):
        import_clip(source, tmp_path, "mine", False, {})
    assert import_clip(source, tmp_path, "mine", True, {"licence": "CC0"}) == first
    assert load(first).header.licence == "CC0"
    with pytest.raises(CheckpointError, match="is no id"):
        import_clip(source, tmp_path, "No Id", False, {})


def test_what_is_beyond_the_context_is_noted(tmp_path: Path) -> None:
    ours = imported(tmp_path, written(tmp_path, TINY, net_of(TINY).state_dict()))
    read = ours.tokenizer.read_text(TEXTS[-1], 6)
    assert (len(read.rows), read.unknown, read.beyond) == (
        6,
        (),
        ("jumps over the lazy dog twice",),
    )
    assert ours.tokenizer.read_text("zyzzyva", 6).unknown == ()
