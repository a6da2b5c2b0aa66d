"""What a checkpoint's clips look like: 32 of them frame by frame, and beside the nearest that were
learnt from, so that everyone sees how much is memory."""

from dataclasses import dataclass

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from models.checkpoint.weights import Checkpoint
from training.data.video.clips import load_clips
from training.evaluation.prompts import MOVING, NOT_MOVING, SPELT, STANDING
from training.evaluation.video import AT_ONCE, params_of
from training.generate import generate_pixels, load_model
from training.metrics.motion import nearest_clips

TITLE, LETTERS = 150, 24  # pixels before a row, and what fits in them
BESIDE = 8  # clips that are shown with the nearest known one


@dataclass(frozen=True)
class Screening:
    """Clips of seed 0 with default params, (32, F, C, H, W)."""

    prompts: list[str]
    clips: Tensor

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> "Screening":
        prompts = [*MOVING, *NOT_MOVING, *STANDING]
        device = torch.device("cpu")
        asked = params_of(checkpoint, {}, prompts)
        model = load_model(checkpoint, device)
        return cls(prompts, generate_pixels(model, asked, 0, device, AT_ONCE))

    def sheet(self) -> Image.Image:
        """A row a clip."""
        return rows_of(self.prompts, self.clips)

    def beside_known(self) -> Image.Image:
        """Some of the clips, each above the training clip that is most like it."""
        clips = load_clips()
        train = clips.rows(~clips.held)
        some = torch.arange(0, len(MOVING), len(MOVING) // BESIDE)
        apart, place = nearest_clips(self.clips[some], torch.from_numpy(train.clips))
        titles, rows = [], []
        for row, far, near in zip(some.tolist(), apart.tolist(), place.tolist(), strict=True):
            titles += [self.prompts[row], f"{far:.0f}: {train.caption[near]}"]
            rows += [self.clips[row], torch.from_numpy(train.clips[near])]
        return rows_of(titles, torch.stack(rows))


def rows_of(titles: list[str], clips: Tensor) -> Image.Image:
    """Clips uint8 (N, F, 3, H, W), frame by frame behind their titles; a page of few colours."""
    count, frames, _, high, wide = clips.shape
    page = Image.new("RGB", (TITLE + frames * (wide + 2), count * (high + 2)), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(11)
    for row, (title, clip) in enumerate(zip(titles, clips, strict=True)):
        top = row * (high + 2)
        told = SPELT.get(title, title)[:LETTERS]
        pen.text((4, top + high / 2), told, "black", font, anchor="lm")
        for place, frame in enumerate(clip):
            tile = Image.fromarray(frame.permute(1, 2, 0).contiguous().numpy())
            page.paste(tile, (TITLE + place * (wide + 2), top))
    return page.quantize(256, dither=Image.Dither.NONE)
