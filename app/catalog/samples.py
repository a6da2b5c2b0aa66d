"""Samples of models: small files in `samples/` beside the checkpoints, as `atelier samples` writes
them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.core.errors import NotFound
from app.core.job_record import url_prefix
from app.core.schemas import ModelSample

FOLDER = "samples"
TYPES = {".webp": "image/webp", ".ogg": "audio/ogg", ".txt": "text/plain; charset=utf-8"}
LARGEST = 2**20  # bytes; a larger file is no sample


@dataclass(frozen=True)
class SampleFile:
    """Where the sample of a model is."""

    path: Path

    @property
    def model(self) -> str:
        return self.path.stem

    @property
    def content_type(self) -> str:
        return TYPES[self.path.suffix]

    def on_card(self) -> ModelSample:
        """What the model's card says of it."""
        url = f"{url_prefix.get()}/models/{self.model}/sample"
        return ModelSample(url=url, content_type=self.content_type)

    def read(self) -> bytes:
        """Blocks. Raises NotFound where the file is gone."""
        try:
            return self.path.read_bytes()
        except OSError:
            raise NotFound(f"there is no sample of {self.model}", code="sample_not_found") from None


def find_samples(*folders: Path) -> Mapping[str, SampleFile]:
    """The samples by the ids of their models; of two, the first folder's counts. Blocks."""
    samples: dict[str, SampleFile] = {}
    for folder in folders:
        for path in _files_in(folder / FOLDER):
            samples.setdefault(path.stem, SampleFile(path))
    return samples


def _files_in(folder: Path) -> list[Path]:
    try:
        paths = sorted(folder.iterdir())
        return [x for x in paths if x.suffix in TYPES and 0 < x.stat().st_size <= LARGEST]
    except OSError:  # there is none, or it can't be read
        return []
