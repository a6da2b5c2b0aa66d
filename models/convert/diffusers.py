"""A Stable Diffusion folder of diffusers to one checkpoint: nothing of it is needed afterwards.

The checkpoint holds the weights as precise as they were, the words of the tokenizer, and every
configuration; so a job pins all of it by one hash. Left out is the safety checker.
"""

import inspect
import json
import logging
import re
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from pydantic import JsonValue
from torch import Tensor
from torch.nn import functional as F

from models.checkpoint.header import CheckpointError, Header
from models.checkpoint.weights import Checkpoint
from models.convert.diffusers_scheduler import process_of, sampler_of
from models.convert.diffusers_weights import read_json, read_weights
from models.diffusion.stable_diffusion import StableDiffusion
from models.diffusion.stable_diffusion_nets import TEXT, Makers, Nets, makers
from models.diffusion.stable_diffusion_tokenizer import MARKS, tensors_of
from models.engine.batching import Placement
from models.engine.noise import normal, seeded

log = logging.getLogger("atelier.import")

PIPELINES = ("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline")
"""Pipelines of the same parts: each reads the other's folder."""
CLASSES = {
    "unet": ("UNet2DConditionModel",),
    "vae": ("AutoencoderKL",),
    "text_encoder": ("CLIPTextModel",),
    "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast"),
}
"""The parts that are taken over, and what each may be."""
NETS = ("unet", "vae", "text_encoder")
ABOUT = "Stable Diffusion, imported from a folder as diffusers has it."
LIMITS = "Nothing that it makes is filtered: the safety checker is left out."
SMALL_SIZE = re.compile(r"0\.[0-8]\.")
"""Versions that wrote 32 for the 64 latents a side of 1.x; diffusers corrects it so as well."""
USUAL_SIZE = 64  # latents a side, of 1.x
FEW = 30  # steps, if none are asked for
PICTURES, SIDE = 8, 16  # that the colours of previews are fitted to, and latents a side of each


def read_folder(
    folder: Path, key: str | None, card: Mapping[str, str]
) -> tuple[Header, dict[str, Tensor]]:
    """The header and the tensors of a folder that `StableDiffusionPipeline` reads.

    Raises CheckpointError, which names the part that is wrong.
    """
    if key is not None:
        raise CheckpointError("a diffusers folder has no entries: leave --key out")
    _check_pipeline(folder)
    nets = makers()  # else the error would be of a tokenizer that can't be read
    configs = {component: read_json(folder / component / "config.json") for component in NETS}
    scheduler = read_json(folder / "scheduler" / "scheduler_config.json")
    marks, tensors = _tokenizer(folder / "tokenizer")
    for component in NETS:
        weights = read_weights(folder / component)
        tensors |= {f"{component}.{name}": tensor for name, tensor in weights.items()}
    header = Header.model_validate(
        {
            "family": "stable_diffusion",
            "net": {**_plain(configs, nets), "tokenizer": marks},
            "process": process_of(scheduler),
            "description": ABOUT,
            "limitations": LIMITS,
            "versions": {name: version(name) for name in ("diffusers", "transformers", "torch")},
            **card,
        }
    )
    return _proved(header, tensors, sampler_of(scheduler))


def _check_pipeline(folder: Path) -> None:
    if not folder.is_dir():
        raise CheckpointError(f"{folder.name} is no folder: a single file must be converted first")
    if not (folder / "model_index.json").is_file():
        raise CheckpointError(f"{folder.name} is no diffusers folder: it has no model_index.json")
    index = read_json(folder / "model_index.json")
    kind = index.get("_class_name")
    if kind not in PIPELINES:
        raise CheckpointError(
            f"{folder.name} is a {kind}; only a {PIPELINES[0]} can be imported (1.x and 2.x)"
        )
    for component, classes in CLASSES.items():
        entry = index.get(component)
        name = entry[1] if isinstance(entry, list) and len(entry) == 2 else None
        if name is None:
            raise CheckpointError(f"{folder.name} has no {component}, says its model_index.json")
        if name not in classes:
            raise CheckpointError(f"its {component} must be {classes[0]}, not {name}")


def _plain(configs: Mapping[str, Mapping[str, Any]], nets: Makers) -> dict[str, JsonValue]:
    """What the nets are built with: notes on versions and paths, and on training, are left out."""
    unet = _options("unet", configs["unet"], nets.unet)
    vae = _options("vae", configs["vae"], nets.vae)
    text = {name: value for name, value in configs["text_encoder"].items() if name in TEXT}
    version = str(configs["unet"].get("_diffusers_version", "1"))
    if unet.get("sample_size") is None:
        unet["sample_size"] = USUAL_SIZE  # a pipeline would have to be asked for a size each time
    if SMALL_SIZE.match(version) and isinstance(unet["sample_size"], int):
        unet["sample_size"] = max(unet["sample_size"], USUAL_SIZE)
    return {"unet": unet, "vae": vae, "text_encoder": text}


def _options(component: str, config: Mapping[str, Any], make: Callable[..., Any]) -> dict[str, Any]:
    """The options of a net that diffusers has here. It leaves others out, and so are they here:
    one that is set is logged."""
    known = inspect.signature(make).parameters
    for name, value in config.items():
        if not name.startswith("_") and name not in known and value is not None:
            log.warning("%s/config.json sets %s, which diffusers does not know", component, name)
    return {name: value for name, value in config.items() if name in known}


def _tokenizer(folder: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Its marks and its words, as transformers finds them in any of its files."""
    from transformers import CLIPTokenizer

    whole = (folder / "tokenizer.json").is_file()
    for name in ("vocab.json", "merges.txt"):
        if not whole and not (folder / name).is_file():
            raise CheckpointError(f"{folder.name}/{name} is missing")
    try:
        tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
        merges = [x if isinstance(x, str) else " ".join(x) for x in model["merges"]]
        marks = {mark: str(tokenizer.special_tokens_map[mark]) for mark in MARKS}
    except Exception as error:  # the tokenizer itself raises nothing narrower
        raise CheckpointError(f"{folder.name} can't be read: {error}") from None
    if len(tokenizer) != len(model["vocab"]):
        raise CheckpointError("its tokenizer has words added to it, which can't be imported")
    return marks, tensors_of(model["vocab"], "\n".join(merges))


def _proved(
    header: Header, tensors: dict[str, Tensor], sampler: str
) -> tuple[Header, dict[str, Tensor]]:
    """Loaded once as a worker will, which tells of all that doesn't fit; with what it is asked."""
    channels = tensors["unet.conv_in.weight"].shape[1] if "unet.conv_in.weight" in tensors else 4
    blank = {"preview.weight": torch.zeros(3, channels), "preview.bias": torch.zeros(3)}
    alone = header.model_copy(update={"requires": {}})  # what leads it is proved by itself
    checkpoint = Checkpoint(alone, tensors | blank, "")
    family = StableDiffusion(checkpoint, Placement(torch.device("cpu")))
    count = len(family.schedule.alpha_bar) - (family.schedule.spacing == "leading")
    height, width = family.size
    asked: dict[str, Any] = {
        "defaults": {
            "width": width,
            "height": height,
            "steps": min(FEW, count),
            "sampler": sampler,
        },
        "limits": {"width": _around(width), "height": _around(height), "steps": (1, count)},
    }
    return header.model_copy(update=asked), tensors | _colours(family.nets)


def _around(side: int) -> tuple[float, float]:
    """From a quarter of what it was made for to twice as much: further away, it paints nothing."""
    return float(max(8, side // 4 // 8 * 8)), float(min(4096, 2 * side))


def _colours(nets: Nets) -> dict[str, Tensor]:
    """The plane nearest to what its autoencoder makes of smooth latents, pixel by pixel."""
    coarse = normal(seeded(0), PICTURES, nets.channels, 4, 4)
    z = F.interpolate(coarse, (SIDE, SIDE), mode="bicubic")
    with torch.no_grad():
        pictures = torch.cat([nets.decode(one[None]) for one in z]).clamp(-1, 1)
    if not pictures.isfinite().all():
        raise CheckpointError("its autoencoder makes values that are not finite")
    colours = F.avg_pool2d(pictures, nets.factor)
    x, y = (t.movedim(1, -1).flatten(0, 2).double() for t in (z, colours))
    plane = torch.linalg.lstsq(F.pad(x, (0, 1), value=1.0), y).solution  # (C + 1, 3)
    return {"preview.weight": plane[:-1].T.float(), "preview.bias": plane[-1].float()}
