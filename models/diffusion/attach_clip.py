"""Which CLIP guides a checkpoint: a requirement in its header; its weights stay as they are."""

from pathlib import Path

import torch

from models.checkpoint.header import COMPONENTS, GUIDE, SUFFIX, CheckpointError, Requirement
from models.checkpoint.weights import Checkpoint, load, save, weights_sha256
from models.clip.clip import CLIP
from models.engine.batching import Placement
from models.families import FAMILIES

CPU = Placement(torch.device("cpu"))


def guided_by(folder: Path, clip: str) -> dict[str, Requirement]:
    """The requirement of a header that a CLIP guides, a component in a folder of checkpoints.

    Raises CheckpointError if it is not there, or no CLIP.
    """
    return _requirement(_load_clip(folder, clip), clip)


def attach_clip(folder: Path, model: str, clip: str) -> Path:
    """Rewrites the checkpoint `model` so that `clip` guides it.

    Raises CheckpointError for what is not there, is no diffusion model, or doesn't fit; the file
    is then as it was.
    """
    path = _path_of(folder, model)
    checkpoint, component = load(path), _load_clip(folder, clip)
    family = FAMILIES.get(checkpoint.header.family)
    if family is None or "clip_guidance_scale" not in family.params.model_fields:
        raise CheckpointError(
            f"{model} is no diffusion model, but of family {checkpoint.header.family}"
        )
    guide = _requirement(component, clip)
    if checkpoint.header.requires.get("clip") == guide[GUIDE]:
        raise CheckpointError(f"{model} reads by {clip}, which leads it already")
    requires = checkpoint.header.requires | guide
    header = checkpoint.header.model_copy(update={"requires": requires})
    guided = Checkpoint(header, checkpoint.tensors, "", {**checkpoint.requires, GUIDE: component})
    family.load(guided, CPU)  # raises, as in a worker, for what doesn't fit
    save(path, header, checkpoint.tensors)
    return path


def detach_clip(folder: Path, model: str) -> Path:
    """Rewrites the checkpoint `model` without the CLIP that `attach_clip` added. It keeps the CLIP
    that reads its prompts. Raises CheckpointError if it is not there, or has none attached."""
    path = _path_of(folder, model)
    checkpoint = load(path)
    requires = dict(checkpoint.header.requires)
    if requires.pop(GUIDE, None) is None:
        raise CheckpointError(f"{model} was given no CLIP to lead it")
    save(path, checkpoint.header.model_copy(update={"requires": requires}), checkpoint.tensors)
    return path


def _path_of(folder: Path, model: str) -> Path:
    path = folder / f"{model}{SUFFIX}"
    if not path.is_file():
        raise CheckpointError(f"there is no {path.name} in the folder of checkpoints")
    return path


def _load_clip(folder: Path, clip: str) -> Checkpoint:
    path = folder / COMPONENTS / f"{clip}{SUFFIX}"
    if not path.is_file():
        raise CheckpointError(f"there is no part {clip}; `atelier import open-clip` makes one")
    component = load(path)
    try:
        CLIP(component, CPU)
    except CheckpointError as error:
        raise CheckpointError(f"{clip} can't lead: {error}") from None
    return component


def _requirement(component: Checkpoint, clip: str) -> dict[str, Requirement]:
    return {GUIDE: Requirement(id=clip, weights=weights_sha256(component.tensors))}
