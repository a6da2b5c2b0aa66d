"""A corpus of music for training: its recordings, by style."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from training.data.cache import DataMissing
from training.data.music.build import MINUTES, STYLES, build_music
from training.data.music.shards import CORPUS, Recording, read_shard, shards_of


@dataclass(frozen=True, slots=True)
class Corpus:
    """A built folder; nothing of it is in memory."""

    folder: Path
    shards: Mapping[str, int]
    """By style, how many belong to it: a build that goes on may have added more, maybe louder."""
    gain: float
    """What stored sound is multiplied by, so that the loudest sample of all is 0.95."""

    @property
    def styles(self) -> tuple[str, ...]:
        return tuple(self.shards)

    def recordings(self, style: str) -> Iterator[Recording]:
        """Every piece of a style, as loud as it is stored."""
        for path in shards_of(self.folder / style)[: self.shards[style]]:
            yield from read_shard(path)


def built_corpus(styles: Iterable[str] = (), minutes: float = MINUTES) -> Corpus:
    """These of the composed styles, all if none is named, from the cache.

    Built first as far as there are not so many minutes of each; what is there of others is not
    read. Raises DataMissing with what to install.
    """
    wanted = tuple(styles) or tuple(STYLES)
    return open_corpus(build_music(minutes, wanted), wanted)


def open_corpus(folder: Path, styles: Iterable[str] = ()) -> Corpus:
    """That of a folder that was built, or these styles of it. Raises DataMissing."""
    if not (folder / CORPUS).exists():
        raise DataMissing(f"{folder} holds no corpus; `atelier data music` builds one")
    summary = json.loads((folder / CORPUS).read_text())
    shards = {style: one["shards"] for style, one in summary["styles"].items()}
    for style in (wanted := tuple(styles)):
        if style not in shards:
            raise DataMissing(f"{folder} has no {style}; there are {', '.join(shards)}")
    return Corpus(folder, {style: shards[style] for style in wanted or shards}, summary["gain"])
