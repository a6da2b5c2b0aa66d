"""Data sets by name, or a folder of the user's own: what `--data` can say."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from training.data.cache import DataMissing
from training.data.images.captions import load_named
from training.data.images.emoji import load_faces
from training.data.images.fashion import ABOUT as FASHION
from training.data.images.fashion import LICENCE as FASHION_LICENCE
from training.data.images.fashion import load_fashion
from training.data.images.folder import load_folder
from training.data.images.sprites import ABOUT as SPRITES
from training.data.images.sprites import LICENCE as SPRITES_LICENCE
from training.data.images.sprites import load_sprites
from training.data.images.squares import squares
from training.data.images.vision import load_celeba, load_cifar10
from training.recipe import Data

OWN = "the user's own"


@dataclass(frozen=True, slots=True)
class ImageSource:
    """Pictures to train on, and what the card of a checkpoint says of them."""

    name: str
    load: Callable[[int, int], Data]
    """(size, channels) -> Data. Raises DataMissing."""
    about: str
    data_licence: str
    licence: str = "unknown"
    """Of weights that were trained on them."""
    fixed: Callable[[], Data] | None = None
    """The set at its own size, where it has one: as a recipe made for it takes it."""


def _built(
    load: Callable[[], Data], name: str, about: str, terms: str, licence: str
) -> ImageSource:
    def brought(size: int, channels: int) -> Data:
        data = load()
        train, test = (
            (squares(columns[0], size, channels), *columns[1:])
            for columns in (data.train, data.test)
        )
        return Data(train, test, data.labels)

    return ImageSource(name, brought, about, terms, licence, load)


EMOJI = (
    "seven emoji sets: Noto, Noto v1 and FxEmojis; Fluent flat, in colour and 3D; Twemoji "
    "(copyright Twitter, Inc and other contributors)."
)
EMOJI_LICENCE = "Apache-2.0 (Noto, Noto v1, FxEmojis), MIT (Fluent), CC-BY-4.0 (Twemoji)"
BUILT = {
    source.name: source
    for source in (
        _built(load_fashion, "fashion", FASHION, FASHION_LICENCE, "MIT"),
        _built(load_named, "emoji", f"All of {EMOJI}", EMOJI_LICENCE, "CC-BY-4.0"),
        _built(
            load_faces, "emoji-faces", f"Faces and hearts of {EMOJI}", EMOJI_LICENCE, "CC-BY-4.0"
        ),
        _built(load_sprites, "sprites", SPRITES, SPRITES_LICENCE, "MIT"),
    )
}
BROUGHT = {
    "cifar10": (
        load_cifar10,
        "CIFAR-10: 50,000 training pictures of ten kinds (Krizhevsky 2009).",
        "not stated",
    ),
    "celeba": (
        load_celeba,
        "CelebA: 162,770 training pictures of faces (Liu, Luo, Wang and Tang 2015).",
        "for research that is not commercial",
    ),
}


def source_of(text: str) -> ImageSource:
    """The set that `--data` names: one of ours, NAME:ROOT for one of torchvision's, or a path.

    A folder that has the name of a set is meant by ./NAME. Raises DataMissing.
    """
    if text in BUILT:
        return BUILT[text]
    name, colon, root = text.partition(":")
    if name in BROUGHT and (root or not colon):
        load, about, terms = BROUGHT[name]
        return ImageSource(name, partial(load, Path(root) if root else None), about, terms)
    folder = Path(text)
    if not folder.is_dir():
        known = ", ".join([*BUILT, *BROUGHT])
        what = "a file" if folder.exists() else "neither a folder nor the name of a set"
        raise DataMissing(f"--data {text} is {what}; name a folder of pictures, or one of {known}")
    return own(folder)


def own(folder: Path) -> ImageSource:
    """A folder of pictures. The card has only the last part of its path."""
    name = folder.resolve().name or "pictures"
    about = f"The user's own pictures, from the folder {name}."
    return ImageSource(name, partial(load_folder, folder), about, OWN, OWN)
