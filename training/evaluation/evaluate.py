"""Measures a checkpoint: figures over several seeds, written into its card.

Every figure stands beside those of real data and, but for scores, of noise.
"""

from pathlib import Path

import torch

from models.audio.wavenet import WaveNet
from models.checkpoint.header import Header
from models.checkpoint.weights import Checkpoint, load, save
from models.families import FAMILIES
from models.modalities import MODALITIES
from models.music.composer import Composer
from training.evaluation.audio_player import evaluate_player
from training.evaluation.composer import evaluate_composer
from training.evaluation.emoji_prompts import PROMPTS, evaluate_prompts
from training.evaluation.evaluator import (
    EvalOptions,
    Evaluation,
    EvaluationRefused,
    Evaluator,
    FeatureNets,
    Record,
    Task,
)
from training.evaluation.figure_file import EVALUATED, FigureFile, records_of, replaced
from training.evaluation.image import evaluate_images
from training.evaluation.language import evaluate_language
from training.evaluation.scales import SCALES, evaluate_scales
from training.evaluation.stills import STILLS, evaluate_stills
from training.evaluation.video import evaluate_videos
from training.generate import load_model
from training.metrics.interval import MOST

MUSIC: dict[type, Evaluator] = {WaveNet: evaluate_player, Composer: evaluate_composer}
EVALUATORS: dict[str, Evaluator] = {"video": evaluate_videos, "story": evaluate_language}
"""By modality; pictures have the same for all, and music one by the kind of model."""
OWN_REFERENCES: dict[tuple[str, str], Evaluator] = {
    ("text-to-image", PROMPTS): evaluate_prompts,
    ("video", STILLS): evaluate_stills,
    ("audio", SCALES): evaluate_scales,
}
"""By modality, and by a reference that is no data set."""


def evaluate(
    path: Path,
    options: EvalOptions,
    nets: FeatureNets,
    device: torch.device,
    out: Path | None = None,
) -> Record:
    """Measures a checkpoint and writes the figures into its card, or into a figure file `out`.

    Returns the new record. Raises EvaluationRefused, FiguresUnreadable, DataMissing or
    CheckpointError.
    """
    checkpoint = load(path)
    figures = None if out is None else FigureFile.for_checkpoint(path.stem, checkpoint, out)
    record = evaluation_of(checkpoint, options, nets, path.parent, device).record(options)
    if figures is not None and out is not None:
        figures.with_record(record).write(out)
        return record
    now = load(path)  # others may have measured it, or trained it anew, meanwhile
    if not _same_tensors(checkpoint, now):
        raise EvaluationRefused(f"{path.name} has been replaced while it was measured")
    save(path, with_record(now.header, record), now.tensors)
    return record


def evaluation_of(
    checkpoint: Checkpoint,
    options: EvalOptions,
    nets: FeatureNets,
    checkpoints: Path,
    device: torch.device,
) -> Evaluation:
    """Chooses the evaluator by what the model makes."""
    modality = FAMILIES[checkpoint.header.family].modality
    has_images = MODALITIES[modality].has_pictures
    if not 1 <= options.seeds <= MOST:
        raise EvaluationRefused(f"the interval is over 1 to {MOST} seeds, not {options.seeds}")
    model = load_model(checkpoint, device)
    task = Task(checkpoint.header, model, options, nets, checkpoints, device)
    own = OWN_REFERENCES.get((modality, options.reference or "")) or EVALUATORS.get(modality)
    if has_images:
        own = own or evaluate_images
    if own is None:
        own = next((one for kind, one in MUSIC.items() if isinstance(model, kind)), None)
        if own is None:
            raise EvaluationRefused(f"nothing measures the music of {checkpoint.header.family}")
        if options.reference:
            raise EvaluationRefused(
                f"music is measured by held-out scores of its own corpus, and players by {SCALES}"
            )
    return own(task)


def with_record(header: Header, record: Record) -> Header:
    """Returns the header with the record in place of that of the same params and reference."""
    quality = header.quality | {EVALUATED: replaced(records_of(header), record)}
    return header.model_copy(update={"quality": quality})


def _same_tensors(a: Checkpoint, b: Checkpoint) -> bool:
    return a.tensors.keys() == b.tensors.keys() and all(
        torch.equal(tensor, b.tensors[name]) for name, tensor in a.tensors.items()
    )
