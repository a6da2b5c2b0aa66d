"""What the learners of clips learn from: columns of clips or their latents, and of their texts."""

from pathlib import Path

import torch
from torch import Tensor

from models.nets.autoencoder import Autoencoder
from training.components import part
from training.data.cache import DataMissing
from training.data.images.sets import OWN, ImageSource
from training.data.video.clips import Clips, clips_in, load_clips
from training.data.video.own_clips import build_own_clips
from training.learners.video_texts import moving_words
from training.metrics.clip_retrieval import read_by
from training.pretrained import FrozenTextTower, autoencoder_of_part, encoded
from training.recipe import Data


def clips_in_latents() -> Data:
    """Columns: latents (N, 2, F, 4, 16, 16) float16, as they are and mirrored, and texts (N, 4).

    The test part has the clips themselves, (N, F, 3, 64, 64) uint8.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = autoencoder_of_part(part("autoencoder-emoji"))[0].to(device)
    clips, texts = load_clips(), moving_words().clip_texts
    held = torch.from_numpy(clips.held)
    pictures = torch.from_numpy(clips.clips)
    return Data((_latents(net, pictures[~held]), texts[~held]), (pictures[held], texts[held]))


def _latents(net: Autoencoder, clips: Tensor) -> Tensor:
    both = torch.stack([clips, clips.flip(-1)], 1)
    z = encoded(net, both.flatten(0, 2)).half().contiguous()
    return z.view(*both.shape[:3], net.latent, net.side, net.side)


def clips_with_texts() -> Data:
    """Columns: clips (N, F, 3, S, S) uint8, and their texts as vectors (N, 4, 256) float16."""
    clips, words = load_clips(), moving_words()
    return divided(clips, words.pooled[words.clip_texts])


def own_clips_with_texts(folder: Path, frames: int, size: int, channels: int) -> Data:
    """The same of the user's own videos, whose captions are read now. Raises DataMissing."""
    if channels != 3:
        raise DataMissing("clips are in colour: a net of one channel can't learn from them")
    clips = clips_in(build_own_clips(folder, frames, size))
    reader = FrozenTextTower.of(part("clip-emoji"), torch.device("cpu"))
    return divided(clips, read_by(reader, [str(c) for c in clips.caption])[:, None].half())


def own_videos(folder: Path, frames: int) -> ImageSource:
    """A folder of the user's own videos. Only its last part is told."""
    name = folder.resolve().name or "videos"
    about = f"The user's own videos, from the folder {name}."

    def load(size: int, channels: int) -> Data:
        return own_clips_with_texts(folder, frames, size, channels)

    return ImageSource(name, load, about, OWN, OWN)


def divided(clips: Clips, vectors: Tensor) -> Data:
    held = torch.from_numpy(clips.held)
    columns = (torch.from_numpy(clips.clips), vectors)
    return Data(tuple(c[~held] for c in columns), tuple(c[held] for c in columns))
