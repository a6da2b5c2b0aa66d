"""The columns of video training: clips or their latents, and their texts."""

from pathlib import Path

import torch
from torch import Tensor

from models.nets.autoencoder import Autoencoder
from training.data.images.sets import OWN, ImageSource
from training.data.video.clips import Clips, clips_in, load_clips
from training.data.video.own_clips import build_own_clips
from training.learners.video.video_texts import video_texts
from training.metrics.image.clip_retrieval import embed_texts
from training.pretrained import encode_images, load_autoencoder, load_text_tower
from training.recipe import Data


def clips_in_latents() -> Data:
    """Columns: latents (N, 2, F, 4, 16, 16) float16, as they are and mirrored, and texts (N, 4).

    The test part has the clips themselves, (N, F, 3, 64, 64) uint8.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = load_autoencoder().to(device)
    clips, texts = load_clips(), video_texts().clip_texts
    data = split_held_out(clips, texts)
    return Data((encode_clips(net, data.train[0]), data.train[1]), data.test)


def encode_clips(net: Autoencoder, clips: Tensor) -> Tensor:
    """uint8 (N, F, C, H, W) -> latents (N, 2, F, ...) float16, as they are and mirrored."""
    both = torch.stack([clips, clips.flip(-1)], 1)
    z = encode_images(net, both.flatten(0, 2)).half().contiguous()
    return z.view(*both.shape[:3], net.latent, net.side, net.side)


def latents_with_texts() -> Data:
    """Columns: the same latents, and their texts as vectors (N, 4, 256) float16."""
    data, pooled = clips_in_latents(), video_texts().pooled
    (latents, texts), (clips, held_out) = data.train, data.test
    return Data((latents, pooled[texts]), (clips, pooled[held_out]))


def own_latents_with_texts(folder: Path, frames: int) -> Data:
    """Returns the same columns of the user's own videos. Raises DataMissing."""
    net = load_autoencoder()
    clips = clips_in(build_own_clips(folder, frames, net.size))
    text_tower = load_text_tower(torch.device("cpu"))
    vectors = embed_texts(text_tower, [str(caption) for caption in clips.caption])
    data = split_held_out(clips, vectors[:, None].half())
    return Data((encode_clips(net, data.train[0]), data.train[1]), data.test)


def own_videos(folder: Path, frames: int) -> ImageSource:
    """A folder of the user's own videos. The card has only the last part of its path."""
    name = folder.resolve().name or "videos"
    about = f"The user's own videos, from the folder {name}."

    def load(_size: int, _channels: int) -> Data:
        return own_latents_with_texts(folder, frames)

    return ImageSource(name, load, about, OWN, OWN)


def split_held_out(clips: Clips, vectors: Tensor) -> Data:
    held_out = torch.from_numpy(clips.held_out)
    columns = (torch.from_numpy(clips.clips), vectors)
    return Data(tuple(c[~held_out] for c in columns), tuple(c[held_out] for c in columns))
