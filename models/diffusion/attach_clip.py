"""Which CLIP leads a checkpoint: a need in its card, beside weights that stay as they are."""

from pathlib import Path

import torch

from models.checkpoint.header import COMPONENTS, GUIDE, SUFFIX, CheckpointError, Requirement
from models.checkpoint.weights import Checkpoint, load, save, weights_sha256
from models.clip.clip import CLIP
from models.engine.batching import Placement
from models.families import FAMILIES

CPU = Placement(torch.device("cpu"))


def guided_by(folder: Path, clip: str) -> dict[str, Requirement]:
    """The `needs` of a header that a CLIP leads, one of the parts in a folder of checkpoints.

    Raises CheckpointError if it is not there, or no CLIP.
    """
    return _needs(_part(folder, clip), clip)


def attach_clip(folder: Path, model: str, clip: str) -> Path:
    """Write the checkpoint `model` anew, as one that is led by `clip`, or by it instead.

    Raises CheckpointError for what is not there, is no diffusion model, or doesn't fit; the file
    is then as it was.
    """
    path = folder / f"{model}{SUFFIX}"
    if not path.is_file():
        raise CheckpointError(f"there is no {path.name} in the folder of checkpoints")
    checkpoint, component = load(path), _part(folder, clip)
    family = FAMILIES.get(checkpoint.header.family)
    if family is None or "clip_guidance_scale" not in family.params.model_fields:
        raise CheckpointError(
            f"{model} is no diffusion model, but of family {checkpoint.header.family}"
        )
    guide = _needs(component, clip)
    if checkpoint.header.requires.get("clip") == guide[GUIDE]:
        raise CheckpointError(f"{model} reads by {clip}, which leads it already")
    needs = checkpoint.header.requires | guide
    header = checkpoint.header.model_copy(update={"requires": needs})
    guided = Checkpoint(header, checkpoint.tensors, "", {**checkpoint.requires, GUIDE: component})
    family.load(guided, CPU)  # as a worker will, which tells of all that doesn't fit
    save(path, header, checkpoint.tensors)
    return path


def detach_clip(folder: Path, model: str) -> Path:
    """Write the checkpoint `model` anew, without the CLIP that it was given by `attach_clip`.

    Raises CheckpointError if it is not there, or was given none; its own reader it keeps.
    """
    path = folder / f"{model}{SUFFIX}"
    if not path.is_file():
        raise CheckpointError(f"there is no {path.name} in the folder of checkpoints")
    checkpoint = load(path)
    needs = {role: need for role, need in checkpoint.header.requires.items() if role != GUIDE}
    if len(needs) == len(checkpoint.header.requires):
        raise CheckpointError(f"{model} was given no CLIP to lead it")
    save(path, checkpoint.header.model_copy(update={"requires": needs}), checkpoint.tensors)
    return path


def _part(folder: Path, clip: str) -> Checkpoint:
    path = folder / COMPONENTS / f"{clip}{SUFFIX}"
    if not path.is_file():
        raise CheckpointError(f"there is no part {clip}; `atelier import open-clip` makes one")
    component = load(path)
    try:
        CLIP(component, CPU)
    except CheckpointError as error:
        raise CheckpointError(f"{clip} can't lead: {error}") from None
    return component


def _needs(component: Checkpoint, clip: str) -> dict[str, Requirement]:
    return {GUIDE: Requirement(id=clip, weights=weights_sha256(component.tensors))}
