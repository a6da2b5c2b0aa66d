"""How good a checkpoint's pictures are: figures over several seeds, written into its card.

Every figure stands beside two floors of as many pictures: training pictures, which no model that
has learnt from them can hope to beat, and noise. All are measured against held-out pictures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import JsonValue, ValidationError
from torch import Tensor

from models.checkpoint.header import Header
from models.checkpoint.weights import Checkpoint, load, save
from models.engine.noise import seeded
from models.families import FAMILIES
from models.modalities import MODALITIES
from models.params.base import Params, posted_files
from training.evaluation.image_trial import Eyes, Trial, trial_of
from training.evaluation.judges import Judge, judge_of, judge_of_captions
from training.evaluation.music import measured_music
from training.evaluation.options import EvalOptions, Record
from training.evaluation.reference import EvaluationRefused, cropped, reference_of
from training.evaluation.video import watched
from training.generate import generate_pixels, load_model
from training.recipe import Data

EVALUATED = "evaluated"
"""The entry of a card's `quality` that holds one record for every evaluation."""

A_WORD = Data((torch.zeros(1), torch.zeros(1).long()), (), ("face",))
"""Something to paint, where it doesn't matter what."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The params of every picture of a seed, and the numbers of its labels, (N,), if any."""

    params: list[Params]
    label: Tensor | None


def evaluate(path: Path, order: EvalOptions, eyes: Eyes, device: torch.device) -> Record:
    """Measure a checkpoint and write what was found into its card; the record that was written.

    Raises EvaluationRefused, DataMissing or CheckpointError.
    """
    checkpoint = load(path)
    record = measured(checkpoint, order, eyes, path.parent, device)
    now = load(path)  # others may have measured it, or trained it anew, meanwhile
    held, found = checkpoint.tensors, now.tensors
    if held.keys() != found.keys() or any(not torch.equal(t, found[k]) for k, t in held.items()):
        raise EvaluationRefused(f"{path.name} has been replaced while it was measured")
    save(path, with_record(now.header, record), now.tensors)
    return record


def measured(
    checkpoint: Checkpoint, order: EvalOptions, eyes: Eyes, checkpoints: Path, device: torch.device
) -> Record:
    """What `evaluate` writes; the judge is looked for among these checkpoints."""
    header = checkpoint.header
    if (modality := FAMILIES[header.family].modality) == "audio":
        if order.reference:
            raise EvaluationRefused("music is measured by held-out scores of its own corpus")
        return measured_music(checkpoint, dict(order.params), order.n, order.seeds, device)
    if modality == "video":
        return watched(checkpoint, order, eyes, checkpoints, device)
    if not MODALITIES[modality].has_pictures:
        raise EvaluationRefused(
            f"it makes {modality}, and what is measured is pictures, clips and music"
        )
    model = load_model(checkpoint, device)
    first = generate_pixels(model, wanted(header, order.params, 1, A_WORD).params, 0, device)
    shape = (min(first.shape[2:]), first.shape[1])  # an oblong picture's middle square
    reference = reference_of(header, order.reference, shape)
    judge = _judge_for(header, reference.data, checkpoints)
    trial = trial_of(reference, eyes, judge, order.n, order.seeds)
    asked = wanted(header, order.params, trial.count, reference.data)
    side = reference.data.test[0].shape[2]

    def make(seed: int) -> Tensor:
        return cropped(generate_pixels(model, asked.params, seed, device), side)

    found = trial.figures(make, asked.label)
    floors: Record = {"real": trial.real(), "noise": trial.noise(asked.label)}
    return _about(trial, order, eyes) | found | floors


def _judge_for(header: Header, data: Data, checkpoints: Path) -> Judge | None:
    """Only where the model, its data and the judge mean the same by a label, or by a caption."""
    if takes_words(header):
        return judge_of_captions(list(data.labels), checkpoints)
    if not header.labels or list(data.labels) != header.labels:
        return None
    return judge_of(header.labels, checkpoints)


def _about(trial: Trial, order: EvalOptions, eyes: Eyes) -> Record:
    about: Record = {
        "params": dict(order.params),
        "n": trial.count,
        "seeds": trial.seeds,
        "reference": trial.reference.name,
        "held_out": len(trial.reference.data.test[0]),
        "features": eyes.features.name,
    }
    if eyes.inception:
        about["inception"] = eyes.inception.name
    if trial.judge:
        about["judge"] = trial.judge.id
    return about


def takes_words(header: Header) -> bool:
    """Whether it makes nothing without them."""
    prompt = FAMILIES[header.family].params.model_fields.get("prompt")
    return prompt is not None and prompt.is_required()


def wanted(
    header: Header, given: Mapping[str, JsonValue], count: int, data: Data = A_WORD
) -> Wanted:
    """Params for so many pictures: each label in turn, where a model has any and none is given;
    the captions of the data's training part, in an order of their own, where it takes words.

    Raises EvaluationRefused for params that this checkpoint doesn't take.
    """
    entry = FAMILIES[header.family]
    if unknown := given.keys() & entry.lacks(header):
        raise EvaluationRefused(f"this checkpoint takes no {', '.join(sorted(unknown))}")
    named = given.get("attributes")
    if isinstance(named, dict) and (unknown := named.keys() - set(header.attributes)):
        raise EvaluationRefused(f"attributes: it has no {', '.join(sorted(unknown))}")
    labels = header.labels if "class_label" in entry.params.model_fields else []
    kinds: Sequence[int] = range(len(labels))
    if labels and given.get("class_label") is not None:
        kinds = [_number(given["class_label"], labels)]
    number = [kinds[i % len(kinds)] for i in range(count)] if kinds else []
    told: list[Record] = [{"class_label": labels[k]} for k in number] or [{}] * count
    if takes_words(header) and "prompt" not in given:
        number = _captions(data, count)
        told = [{"prompt": data.labels[k]} for k in number]
    try:
        params = [entry.params.model_validate({**header.defaults, **given, **t}) for t in told]
    except ValidationError as error:
        first = error.errors()[0]
        raise EvaluationRefused(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    if dict(params[0]).get("interpolate") is not None or posted_files(params[0]):
        raise EvaluationRefused("pictures are measured that stand alone: no walk, and no file")
    if dict(params[0]).get("upscale", 1) != 1:
        raise EvaluationRefused(
            "pictures are measured as large as what was learnt from: no upscale"
        )
    return Wanted(params, torch.tensor(number) if number else None)


def _captions(data: Data, count: int) -> list[int]:
    """Numbers of captions that were learnt from, each once before any comes again."""
    if not data.labels:
        raise EvaluationRefused("it paints what words say, and the reference has no captions")
    known = torch.tensor(sorted(set(data.train[1].tolist())))
    order = known[torch.randperm(len(known), generator=seeded(0))].tolist()
    return [order[i % len(order)] for i in range(count)]


def _number(given: JsonValue, labels: list[str]) -> int:
    """Of a label, by its name or its number."""
    if isinstance(given, str) and given in labels:
        return labels.index(given)
    if isinstance(given, int) and not isinstance(given, bool) and 0 <= given < len(labels):
        return given
    raise EvaluationRefused(f"class_label: {given!r} is none of {', '.join(labels)}")


def with_record(header: Header, record: Record) -> Header:
    """The card with one more evaluation, in place of that of the same params and reference."""
    known = header.quality.get(EVALUATED)
    others = [
        old
        for old in (known if isinstance(known, list) else [])
        if isinstance(old, dict) and any(old.get(k) != record[k] for k in ("params", "reference"))
    ]
    quality = header.quality | {EVALUATED: [*others, record]}
    return header.model_copy(update={"quality": quality})
