"""Draws clips of a checkpoint: frame by frame, and beside the nearest training clips."""

from dataclasses import dataclass

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from models.checkpoint.weights import Checkpoint
from training.data.video.clips import load_clips
from training.evaluation.evaluator import requests_of
from training.evaluation.report.prompts import MOVING, NOT_MOVING, SPELLED, STANDING
from training.evaluation.video import AT_ONCE
from training.generate import generate_pixels, load_model
from training.metrics.video.motion import nearest_clips

CPU = torch.device("cpu")
TITLE, LETTERS = 150, 24  # pixels before a row, and what fits in them
BESIDE = 8  # clips that are shown with the nearest known one


@dataclass(frozen=True)
class VideoSheet:
    """Clips of seed 0 with default params, (32, F, C, H, W)."""

    prompts: list[str]
    clips: Tensor

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> "VideoSheet":
        prompts = [*MOVING, *NOT_MOVING, *STANDING]
        requests = requests_of(checkpoint.header, {}, [{"prompt": p} for p in prompts])
        model = load_model(checkpoint, CPU)
        return cls(prompts, generate_pixels(model, requests, 0, CPU, AT_ONCE))

    def sheet(self) -> Image.Image:
        """A row a clip."""
        return rows_of(self.prompts, self.clips)

    def beside_nearest(self) -> Image.Image:
        """Some of the clips, each above the training clip that is most like it."""
        clips = load_clips()
        train = clips.rows(~clips.held_out)
        some = torch.arange(0, len(MOVING), len(MOVING) // BESIDE)
        distance, index = nearest_clips(self.clips[some], torch.from_numpy(train.clips))
        titles, rows = [], []
        for row, far, near in zip(some.tolist(), distance.tolist(), index.tolist(), strict=True):
            titles += [self.prompts[row], f"{far:.0f}: {train.caption[near]}"]
            rows += [self.clips[row], torch.from_numpy(train.clips[near])]
        return rows_of(titles, torch.stack(rows))


def rows_of(titles: list[str], clips: Tensor) -> Image.Image:
    """Clips uint8 (N, F, 3, H, W), frame by frame behind their titles; a page of few colours."""
    count, frames, _, high, wide = clips.shape
    page = Image.new("RGB", (TITLE + frames * (wide + 2), count * (high + 2)), "white")
    canvas, font = ImageDraw.Draw(page), ImageFont.load_default(11)
    for row, (title, clip) in enumerate(zip(titles, clips, strict=True)):
        top = row * (high + 2)
        text = SPELLED.get(title, title)[:LETTERS]
        canvas.text((4, top + high / 2), text, "black", font, anchor="lm")
        for column, frame in enumerate(clip):
            tile = Image.fromarray(frame.permute(1, 2, 0).contiguous().numpy())
            page.paste(tile, (TITLE + column * (wide + 2), top))
    return page.quantize(256, dither=Image.Dither.NONE)
