"""Which measures music is measured by: a player's or a composer's."""

import torch
from pydantic import JsonValue

from models.audio.wavenet import WaveNet
from models.checkpoint.weights import Checkpoint
from models.music.composer import Composer
from training.evaluation.audio_player import measured_player
from training.evaluation.composer import measured_composer
from training.evaluation.reference import EvaluationRefused
from training.generate import load_model


def measured_music(
    checkpoint: Checkpoint,
    params: dict[str, JsonValue],
    n: int | None,
    seeds: int,
    device: torch.device,
) -> dict[str, JsonValue]:
    """The record of an evaluation. Raises EvaluationRefused or DataMissing."""
    model = load_model(checkpoint, device)
    if isinstance(model, WaveNet):
        return measured_player(model, checkpoint, params, n, seeds, device)
    if isinstance(model, Composer):
        return measured_composer(model, checkpoint, params, n, seeds)
    raise EvaluationRefused(f"nothing measures the music of {checkpoint.header.family}")
