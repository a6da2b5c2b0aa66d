"""A folder of the user's own music as a corpus: sound files, or MIDI that a sound font plays.

The style of a file is the topmost folder it lies in, or for files of the folder itself that
folder's name. What is held out follows from names alone.
"""

import logging
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np

from models.music.midi import read_midi
from models.score import ScoreError
from training.data.cache import DataMissing, cache_folder, fingerprint
from training.data.images.folder import files_of, held_out_files
from training.data.music.build import EDITION, Works, build, played
from training.data.music.rendering import RATE, Sound, Synth, find_synth
from training.data.music.shards import LOUDEST, Label, Recording, pieces_of
from training.data.music.tunes import shuffled

log = logging.getLogger("atelier.training")

SOUNDS = frozenset({".wav", ".flac", ".mp3", ".ogg"})
SCORES = frozenset({".mid", ".midi"})
FEWEST = 2  # files of a style: one to learn from and one that is held out
SHORTEST = 1.0  # seconds
LONGEST = 3600.0


def build_own(folder: Path, minutes: float, font: Path | None = None) -> Path:
    """Reads or plays every file, up to `minutes` a style, and returns the corpus's folder.

    Its name in the cache depends on the files, so a changed folder gets another one.
    Raises DataMissing with the file at fault and what is wrong with it.
    """
    styles = find_music(folder)
    files = [name for names in styles.values() for name in names]
    synth = find_synth(font) if any(_is_score(name) for name in files) else None
    works = {
        style: Works(
            shuffled(set(names)),
            _recorder(folder, names, synth),
            f"edition {EDITION}, {synth.name if synth else 'sound files'}",
        )
        for style, names in styles.items()
    }
    called = f"music-{folder.resolve().name}-{fingerprint(folder, sorted(files))}"
    built = build(cache_folder() / called, works, minutes)
    for style, used in pieces_of(built).items():
        if left := len(styles[style]) - used:
            log.warning("of %s %d files are beyond %g minutes, and not used", style, left, minutes)
    return built


def find_music(folder: Path) -> dict[str, list[str]]:
    """Names relative to the folder, by style. Raises DataMissing if there is no such folder, or too
    little in it."""
    styles: dict[str, list[str]] = {}
    for name in files_of(folder, SOUNDS | SCORES, "music"):
        top = name.split("/")[0] if "/" in name else folder.resolve().name
        styles.setdefault(top, []).append(name)
    if not styles:
        raise DataMissing(f"{folder} holds no music ({', '.join(sorted(SOUNDS | SCORES))})")
    for style, names in styles.items():
        if len(names) < FEWEST:
            raise DataMissing(
                f"the style {style} has one file, {names[0]}; at least {FEWEST} are needed"
            )
    return styles


def read_sound(path: Path, name: str) -> Sound:
    """(samples,) at 16 kHz, all channels as one. Raises DataMissing."""
    import soundfile
    import soxr

    if not path.stat().st_size:
        raise DataMissing(f"{name} is empty")
    try:
        with soundfile.SoundFile(path) as file:
            seconds = file.frames / file.samplerate
            if seconds > LONGEST:
                raise DataMissing(
                    f"{name} lasts {seconds:.0f} seconds; at most {LONGEST:g} are read"
                )
            heard, rate = file.read(dtype="float32", always_2d=True), file.samplerate
    except soundfile.SoundFileError as error:
        reason = getattr(error, "error_string", str(error))
        raise DataMissing(f"{name} is no sound file that can be read: {reason}") from None
    if len(heard) < SHORTEST * rate:
        raise DataMissing(
            f"{name} lasts {len(heard) / rate:.2f} seconds; {SHORTEST:g} is the least"
        )
    if not np.isfinite(heard).all():
        raise DataMissing(f"{name} has samples that are no numbers")
    if not heard.any():
        raise DataMissing(f"{name} is silent from beginning to end")
    sound: Sound = soxr.resample(heard.mean(1), rate, RATE).astype(np.float32)
    loudest = float(np.abs(sound).max())
    if loudest > LOUDEST:
        raise DataMissing(f"{name} is too loud: its samples go up to {loudest:.1f}")
    return sound


def _recorder(folder: Path, names: list[str], synth: Synth | None) -> Callable[[str], Recording]:
    test = dict(zip(names, held_out_files(names), strict=True))

    def record(name: str) -> Recording:
        if synth is not None and _is_score(name):
            return _performed(folder / name, name, test[name], synth)
        return Recording(Label(name, test[name]), read_sound(folder / name, name))

    return record


def _performed(path: Path, name: str, test: bool, synth: Synth) -> Recording:
    try:
        score = read_midi(path.read_bytes())
    except ScoreError as error:
        raise DataMissing(f"{name}: {error}") from None
    return played(score, name, test, synth)


def _is_score(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in SCORES
