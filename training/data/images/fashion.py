"""Fashion-MNIST (Xiao, Rasul and Vollgraf 2017, arXiv 1708.07747): 28x28 garments, ten classes.

On Debian and its kin it comes from the package `dataset-fashion-mnist`, unpacked without root;
elsewhere from torchvision's own download. Both are held to the same bytes.
"""

import gzip
import hashlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.data.cache import DataMissing, cache_folder, require_program, run_program
from training.recipe import Data

PACKAGE = "dataset-fashion-mnist"
ABOUT = "Fashion-MNIST: 60,000 training pictures of ten kinds (Xiao, Rasul and Vollgraf 2017)."
LICENCE = "MIT (copyright 2017 Zalando SE)"
LABELS = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
FILES = {  # name -> the SHA-256 of the file, uncompressed
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}


def load_fashion() -> Data:
    """Columns: pictures (N, 1, 28, 28) uint8 and labels (N,) int64; 60,000 and 10,000 rows."""
    folder = cache_folder() / "fashion-mnist"
    if not all((folder / name).exists() for name in FILES):
        fetch(folder)
    columns = [read_checked(folder / name, digest) for name, digest in FILES.items()]
    return Data(_columns(*columns[:2]), _columns(*columns[2:]), LABELS)


def fetch(folder: Path) -> None:
    """The four files into `folder`, from the Debian package or else through torchvision."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _fetch_from_debian(folder)
    except DataMissing:
        _fetch_by_torchvision(folder)


def read_checked(path: Path, digest: str) -> NDArray[np.uint8]:
    """An IDX file's array. Raises DataMissing if its bytes are not those expected."""
    raw = path.read_bytes()
    if hashlib.sha256(raw).hexdigest() != digest:
        raise DataMissing(f"{path.name} is damaged or another edition; delete {path.parent}")
    return parse_idx(raw)


def parse_idx(raw: bytes) -> NDArray[np.uint8]:
    """IDX: 0, 0, type 8 (bytes), the number of dimensions, each as 4 bytes, then the values."""
    if raw[:3] != b"\0\0\x08":
        raise DataMissing("not an IDX file of bytes")
    shape = np.frombuffer(raw, ">u4", count=raw[3], offset=4).tolist()
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


def _columns(pictures: NDArray[np.uint8], labels: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(pictures.copy()).unsqueeze(1), torch.from_numpy(labels.astype(np.int64))


def _fetch_from_debian(folder: Path) -> None:
    apt, dpkg = (require_program(name, "for the Debian package") for name in ("apt-get", "dpkg"))
    run_program([apt, "download", PACKAGE], folder)
    (archive,) = folder.glob(f"{PACKAGE}_*.deb")
    run_program([dpkg, "-x", archive.name, "unpacked"], folder)
    for name in FILES:
        packed = folder / "unpacked/usr/share/datasets/fashion-mnist" / f"{name}.gz"
        (folder / name).write_bytes(gzip.decompress(packed.read_bytes()))


def _fetch_by_torchvision(folder: Path) -> None:
    from torchvision.datasets import FashionMNIST

    try:
        FashionMNIST(str(folder), download=True)
    except (RuntimeError, OSError) as error:
        raise DataMissing(f"Fashion-MNIST can't be fetched: {error}") from None
    for name in FILES:
        (folder / "FashionMNIST/raw" / name).replace(folder / name)


def fashion_tags(data: Data) -> dict[str, Tensor]:
    """What is true of each training picture among those of its kind, by its pixels, (N,) bool each.

    Of other pictures than garments nothing is known.
    """
    if data.labels != LABELS:
        return {}
    pictures, kind = data.train
    lit = pictures > 0
    area = lit.sum((1, 2, 3)).clamp(min=1)
    values = {"bright": pictures.float().sum((1, 2, 3)) / area, "large": area.float()}
    return {name: _high_within_kind(value, kind) for name, value in values.items()}


def _high_within_kind(values: Tensor, kind: Tensor) -> Tensor:
    """Which values (N,) are above the median of their kind (N,)."""
    high = torch.zeros(len(values), dtype=torch.bool)
    for number in range(len(LABELS)):
        rows = kind == number
        if rows.any():
            high[rows] = values[rows] > values[rows].median()
    return high
