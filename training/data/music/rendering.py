"""Scores to sound by FluidSynth and a sound font: dry, mono, 16 kHz, in time to a few milliseconds.

FluidSynth moves its events to blocks of 64 samples and lets what lies above half its rate fold
back, so it renders at 48 kHz (blocks of 1.3 ms), and soxr brings that to 16.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.music.midi import write_midi
from models.score import Score
from training.data.cache import DataMissing, require_program, run_program

RATE = 16_000
RENDERED = 48_000
BELOW_HEARING = (12.0, 24.0)  # Hz; the lowest note rendered has 49
TAIL = 0.5  # seconds that are heard after the last note's end
FONTS = tuple(
    Path("/usr/share") / folder / "FluidR3_GM.sf2"
    for folder in ("sounds/sf2", "soundfonts", "soundfonts/FluidR3_GM")
)
DRY = (
    "-R",
    "0",
    "-C",
    "0",
)  # neither reverb nor chorus: a net would have to learn the room as well
INSTALL = "on Debian and its kin, apt-get install {}"

Sound = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Synth:
    """The program and the font that render."""

    program: str
    font: Path
    gain: float = 0.5
    """FluidSynth's own: what its sound is multiplied by, the same for every piece of a style."""

    @property
    def name(self) -> str:
        """What tells fonts and gains apart, without a path."""
        return f"{self.font.name} of {self.font.stat().st_size} bytes, gain {self.gain:g}"


def find_synth(font: Path | None = None) -> Synth:
    """The one installed here. Raises DataMissing with what to install."""
    program = require_program(
        "fluidsynth", f"to play scores; {INSTALL.format('fluidsynth fluid-soundfont-gm')}"
    )
    if font is not None and not font.is_file():
        raise DataMissing(f"there is no sound font {font}")
    fonts = [font] if font is not None else [path for path in FONTS if path.is_file()]
    if not fonts:
        raise DataMissing(
            "the sound font FluidR3_GM.sf2 is not installed; "
            f"{INSTALL.format('fluid-soundfont-gm')}, or name one with --font"
        )
    with fonts[0].open("rb") as file:
        head = file.read(12)
    if not (head.startswith(b"RIFF") and head.endswith(b"sfbk")):
        raise DataMissing(f"{fonts[0].name} is no sound font")
    return Synth(program, fonts[0])


def render(score: Score, synth: Synth) -> Sound:
    """(samples,) at 16 kHz, TAIL longer than the score. Not clipped: it may pass 1.

    Raises DataMissing if the program fails.
    """
    import soxr

    with tempfile.TemporaryDirectory(prefix="atelier-") as name:
        folder = Path(name)
        (folder / "in.mid").write_bytes(write_midi(score))
        form = ("-T", "raw", "-O", "float", "-r", str(RENDERED), "-o", "audio.file.endian=little")
        how = ("-ni", "-q", "-g", str(synth.gain), *DRY, "-o", "synth.dynamic-sample-loading=1")
        files = ("-F", "out.raw", str(synth.font.resolve()), "in.mid")
        run_program([synth.program, *how, *form, *files], folder)
        if not (folder / "out.raw").exists():
            raise DataMissing(f"fluidsynth made no sound with {synth.font.name}")
        stereo = np.fromfile(folder / "out.raw", "<f4").reshape(-1, 2)
    wanted = round((score.seconds + TAIL) * RATE)
    heard = soxr.resample(stereo.mean(1), RENDERED, RATE)[:wanted]
    return centred(np.pad(heard, (0, wanted - len(heard))))


def centred(sound: Sound) -> Sound:
    """Without what lies below hearing: some samples of FluidR3 have an offset, which would be
    learnt. Nothing is moved in time (the filter has no phase)."""
    size = (
        len(sound) + RATE
    )  # a second between its end and its beginning, which are neighbours here
    spectrum = np.fft.rfft(sound, size)
    hertz = np.fft.rfftfreq(size, 1 / RATE)
    low, high = BELOW_HEARING
    rise = np.clip((hertz - low) / (high - low), 0, 1)
    spectrum *= np.sin(rise * np.pi / 2) ** 2
    return np.fft.irfft(spectrum, size)[: len(sound)].astype(np.float32)
