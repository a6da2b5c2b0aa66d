"""Draws pictures of a painter of emoji, each above the training picture that is most like it."""

import torch
from PIL import Image

from models.checkpoint.weights import Checkpoint
from training.evaluation.evaluator import requests_of
from training.evaluation.report.prompts import KNOWN, UNSEEN, titled
from training.generate import generate_pixels, load_model
from training.metrics.image.nearest import nearest_pictures
from training.recipe import Data

CPU = torch.device("cpu")
COLUMNS = 12  # pictures of a row
PROMPTS = (*KNOWN[:: len(KNOWN) // 6][:6], *UNSEEN[:6])


def painted_beside_nearest(checkpoint: Checkpoint, emoji: Data) -> Image.Image:
    """Two rows: pictures of seed 0 with default params, and below each the most similar picture
    that was learnt from, with their root mean square difference, of 255, and its caption."""
    header, model = checkpoint.header, load_model(checkpoint, CPU)
    requests = requests_of(header, {}, [{"prompt": prompt} for prompt in PROMPTS])
    pictures = generate_pixels(model, requests, 0, CPU)
    known, label = emoji.train[:2]
    distance, index = nearest_pictures(pictures, known)
    captions = [emoji.labels[number] for number in label[index].tolist()]
    below = [f"{far:.0f}: {caption}" for far, caption in zip(distance, captions, strict=True)]
    page = titled(torch.cat([pictures, known[index]]), [*PROMPTS, *below], COLUMNS)
    return page.quantize(256, dither=Image.Dither.NONE)
