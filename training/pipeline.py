"""What `atelier train` calls: a recipe by name, from data to a checkpoint."""

import hashlib
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from pydantic import JsonValue

from models.checkpoint.header import CheckpointError
from models.checkpoint.weights import load, weights_sha256
from models.families import FAMILIES
from models.registry import ID
from training.adapt_recipe import adapted_to, rehearse, shape_of
from training.data.images.sets import ImageSource, source_of
from training.errors import RunBroken, TrainingRefused
from training.learners.video.video_columns import own_videos
from training.loop.loop import train
from training.loop.run_folder import RunFolder
from training.loop.warm_start import warm_started
from training.publish import checkpoint_path, publish
from training.recipe import Data, Learner, Recipe
from training.recipe_file import Change, changed, described, read_change
from training.registry import recipe_named

FILE = ".toml"


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """What `atelier train` was asked for."""

    recipe: str
    """The name of a recipe, or the path of a TOML file."""
    out: Path
    runs: Path
    data: str | None = None
    id: str | None = None
    steps: int | None = None
    """None means the recipe's own number."""
    resume: bool = False
    replace: bool = False
    device: str = "cpu"
    start: str | None = None
    """The id or path of a checkpoint whose weights are begun with; None draws them."""


def run(options: TrainOptions) -> Path:
    """Train and write the checkpoint into `options.out`; the checkpoint's path.

    State, snapshots and sample sheets lie in `options.runs`, in a folder called as the checkpoint.
    Where a resumed run has already passed `options.steps`, its snapshot of that very step is
    published. Raises TrainingRefused before anything is trained or written; DataMissing,
    RunBroken, TrainingDiverged or TrainingStopped.
    """
    device = device_of(options.device)
    change = read_change(Path(options.recipe)) if options.recipe.endswith(FILE) else None
    recipe = recipe_named(change.base if change else options.recipe)
    origin = recipe.id
    if change:
        recipe = changed(recipe, change)
    said = options.data or (change.data if change else None)
    source = source_for(recipe, said) if said else None
    if source and source.fixed is recipe.data:
        source = None  # its own
    name = id_of(options, origin, change, source)
    recipe, state = replace(recipe, id=name), RunFolder(options.runs / name)
    refuse_to_restart(state, options.resume)
    refuse_to_lose(recipe, options, state)
    if options.start:
        recipe = warm_started(recipe, options.start, checkpoint_path(recipe, options.out).parent)
    if change or source:
        recipe = adapted(recipe, change, source, device)
        recipe = replace(recipe, origin={"recipe": origin, **recipe.origin})
    steps = recipe.steps if options.steps is None else options.steps
    return carry_out(recipe, options.out, state, steps, resume=options.resume, device=device)


def carry_out(
    recipe: Recipe, out: Path, state: RunFolder, steps: int, *, resume: bool, device: torch.device
) -> Path:
    """Trains a recipe in this run folder; returns the checkpoint's path."""
    with state.locked():
        refuse_to_restart(state, resume)
        data = recipe.data()
        same_as_begun(state, settings_of(recipe, data))
        learner = recipe.learner(recipe.card, device)
        if state.saved():
            restore(learner, state, device)
        else:
            recipe.start(learner, data)
        if state.step <= steps:
            train(recipe, learner, data, state, steps)
        weights = state.snapshot_at(steps)
        if weights is None:
            raise TrainingRefused(
                f"the run is at step {state.step} and kept no snapshot of {steps}; "
                f"it has {state.snapshots()}"
            )
        state.note_publishing()
        path = publish(recipe, weights, data, state, steps, out)
        state.note_published(weights_sha256(load(path).tensors))
        return path


def adapted(
    recipe: Recipe, change: Change | None, source: ImageSource | None, device: torch.device
) -> Recipe:
    """The recipe as a file and other data change it, with its data loaded, and rehearsed."""
    data = source.load(*shape_of(recipe)) if source else recipe.data()
    if source:
        recipe = adapted_to(recipe, source, data)
    if change:
        recipe = described(recipe, change)
    rehearse(recipe, data, device)
    return replace(recipe, data=lambda: data)


def source_for(recipe: Recipe, named: str) -> ImageSource:
    """What `--data` names: videos where the recipe makes them, else pictures. Raises DataMissing,
    and TrainingRefused for a recipe that takes no others."""
    family = FAMILIES.get(recipe.card.family)
    if family is None or family.modality != "video":
        return source_of(named)
    frames = recipe.card.net.get("frames")
    shape_of(recipe)
    if not isinstance(frames, int):
        raise TrainingRefused(f"{recipe.id} takes no other data: its net has no number of frames")
    return own_videos(Path(named), frames)


def device_of(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError:
        raise TrainingRefused(f"no device {name!r}; there are cpu and cuda") from None
    if device.type not in ("cpu", "cuda"):
        raise TrainingRefused(f"no training on {name}, only on cpu and cuda")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise TrainingRefused(f"there is no {name} here, or torch was built without it")
    return device


def id_of(
    options: TrainOptions, recipe: str, change: Change | None, source: ImageSource | None
) -> str:
    """Returns the id that was asked for, else that of the file, else RECIPE or RECIPE-DATA.

    Raises TrainingRefused if what was asked for is no id.
    """
    names = [recipe, *([source.name] if source else [])]
    derived = Path(options.recipe).stem if change else "-".join(names)
    wanted = options.id or (change.id if change else None)
    text = wanted or re.sub(r"[^a-z0-9._]+", "-", derived.lower()).strip("-._")[:100]
    if not ID.fullmatch(text):
        raise TrainingRefused(f"{text!r} is no id: it has a-z, 0-9, dots, dashes and underscores")
    return text


def refuse_to_lose(recipe: Recipe, options: TrainOptions, state: RunFolder) -> None:
    """Raises TrainingRefused if the end of this training would replace another's checkpoint."""
    path = checkpoint_path(recipe, options.out)
    if path.exists() and not options.replace and not came_out_of(state, path):
        raise TrainingRefused(
            f"{path} is there already and didn't come out of {state.folder}; "
            "give the new one a name by --id, or the old one up by --replace"
        )


def came_out_of(state: RunFolder, path: Path) -> bool:
    try:
        return state.has_published(weights_sha256(load(path).tensors))
    except CheckpointError:  # whatever it is, a run writes none such
        return False


def refuse_to_restart(state: RunFolder, resume: bool) -> None:
    if state.saved() and not resume:
        raise TrainingRefused(
            f"{state.folder} holds a run; go on with it by --resume, or move it away"
        )


def settings_of(recipe: Recipe, data: Data) -> dict[str, JsonValue]:
    """All that the bytes of a run follow from, the pictures by their hash."""
    digest = hashlib.sha256()
    for column in data.train:
        digest.update(column.numpy().tobytes())
    settings = {
        "net": recipe.card.net,
        "process": recipe.card.process,
        "labels": list(data.labels),
        "settings": recipe.settings | recipe.origin,
        "batch": recipe.batch,
        "seed": recipe.seed,
        "pictures": digest.hexdigest(),
    }
    plain: dict[str, JsonValue] = json.loads(json.dumps(settings))
    return plain


def same_as_begun(state: RunFolder, settings: dict[str, JsonValue]) -> None:
    """Raises TrainingRefused if a saved run was begun with others; an old one can't tell."""
    begun = state.started_with()
    if state.saved() and begun is not None and begun != settings:
        other = sorted(k for k in settings.keys() | begun.keys() if settings.get(k) != begun.get(k))
        raise TrainingRefused(
            f"{state.folder} was begun with other {', '.join(other)}; "
            "go on as it was begun, or give the new run a name by --id"
        )
    state.start_with(settings)


def restore(learner: Learner, state: RunFolder, device: torch.device) -> None:
    """Raises RunBroken if the state is that of another kind of learner."""
    saved = state.load(device)
    try:
        learner.restore(saved)
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError):
        raise RunBroken(f"the state in {state.folder} is that of another training") from None
