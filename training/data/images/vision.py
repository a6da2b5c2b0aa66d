"""Sets that torchvision knows how to read, from where the user has them: CIFAR-10 and CelebA.

Their root is the folder that torchvision calls so: it holds `cifar-10-batches-py` or `celeba`. In
the cache what is missing is fetched by torchvision; nothing is fetched into a folder of the user's.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.data.cache import DataMissing, cache_folder
from training.data.images.folder import followed
from training.data.images.squares import read_square, squares
from training.recipe import Data


def load_cifar10(root: Path | None, size: int, channels: int) -> Data:
    """Pictures (N, channels, size, size) and their ten kinds; 50,000 and 10,000 rows.

    `root` None is the cache. Raises DataMissing.
    """
    from torchvision.datasets import CIFAR10

    def columns(is_train: bool) -> tuple[tuple[Tensor, Tensor], list[str]]:
        dataset = _opened(
            lambda root_, fetch: CIFAR10(root_, is_train, download=fetch), root, FOLDERS[0]
        )
        pictures = torch.from_numpy(dataset.data).permute(0, 3, 1, 2)  # (N, 3, 32, 32)
        return (squares(pictures, size, channels), torch.tensor(dataset.targets)), dataset.classes

    (train, names), (test, _) = columns(True), columns(False)
    return Data(train, test, tuple(names))


def load_celeba(root: Path | None, size: int, channels: int) -> Data:
    """Faces (N, channels, size, size), without labels; the set's own train and test parts."""
    from torchvision.datasets import CelebA

    def column(split: str) -> tuple[Tensor]:
        dataset = _opened(
            lambda root_, fetch: CelebA(root_, split, download=fetch), root, FOLDERS[1]
        )
        folder = Path(dataset.root) / dataset.base_folder / "img_align_celeba"
        rows = np.empty((len(dataset.filename), channels, size, size), np.uint8)
        for row, name in zip(rows, followed(dataset.filename), strict=True):
            row[:] = read_square(folder / name, name, size, channels)
        return (torch.from_numpy(rows),)

    return Data(column("train"), column("test"))


FOLDERS = ("cifar-10-batches-py", "celeba")


def _opened(open_: Callable[[Path, bool], Any], root: Path | None, folder: str) -> Any:
    """The set as it lies there; in the cache, fetched if need be. Raises DataMissing."""
    path = cache_folder() if root is None else root
    try:
        return open_(path, False)
    except (RuntimeError, OSError):
        reason = f"{path} has no whole {folder}"
    if root is None:
        try:
            return open_(path, True)
        except Exception as error:  # of the network, the disk, an archive, a missing downloader
            reason += f", and it can't be fetched: {error}"
    raise DataMissing(f"{reason}; unpack {folder} somewhere and name that folder after a colon")
