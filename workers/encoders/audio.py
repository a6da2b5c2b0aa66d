"""Sound to files: WAV by our own few lines, since its samples are streamed too, and the rest by
libsndfile, which encodes in the thread that calls it."""

import io
from collections.abc import Callable
from functools import partial

import numpy as np
import soundfile
from numpy.typing import NDArray
from torch import Tensor

from app.core.wav import wav_header
from models.artifacts import Audio
from models.modalities import SOUND_FORMATS
from workers.encoders.ogg import renumbered
from workers.encoders.types import Encoded, Facts

LOUDEST = 32767  # 1.0 in 16 bits; -1.0 is as far from 0
BLOCK = 4096  # samples written at once: libsndfile puts a block of Vorbis on the stack

Pcm = NDArray[np.int16]  # (n, channels)


def sound_file(audio: Audio, output_format: str, facts: Facts) -> Encoded:
    """In one of SOUND_FORMATS. MP3 knows few rates, and a request for another is refused before.

    Of two channels, which no family makes, LAME does not give the same bytes for every sound.
    """
    pcm = pcm_of(audio.samples)
    content_type, write = WRITERS[output_format]
    return Encoded(
        write(pcm, audio.rate, facts),
        content_type,
        "audio",
        seconds=round(len(pcm) / audio.rate, 4),
        rate=audio.rate,
        channels=pcm.shape[1],
    )


def chunk_file(audio: Audio) -> Encoded:
    """Samples alone: a part of what a stream of sound has after its header."""
    return Encoded(pcm_of(audio.samples).tobytes(), "application/octet-stream", "audio")


def pcm_of(samples: Tensor) -> Pcm:
    """Samples (channels, n) in [-1, 1] to 16 bits, little-endian: what files and streams have."""
    whole = samples.detach().cpu().mul(LOUDEST).round().numpy()
    return np.ascontiguousarray(whole.T.astype("<i2"))


def _wav(pcm: Pcm, rate: int, facts: Facts) -> bytes:
    return wav_header(rate, pcm.shape[1], pcm.nbytes, facts.text()) + pcm.tobytes()


def _by_libsndfile(kind: str, coding: str, pcm: Pcm, rate: int, facts: Facts) -> bytes:
    out = io.BytesIO()
    with soundfile.SoundFile(out, "w", rate, pcm.shape[1], coding, format=kind) as file:
        file.comment = facts.text()
        for start in range(0, len(pcm), BLOCK):
            file.write(pcm[start : start + BLOCK])
    return out.getvalue()


def _ogg(pcm: Pcm, rate: int, facts: Facts) -> bytes:
    return renumbered(_by_libsndfile("OGG", "VORBIS", pcm, rate, facts))


Write = Callable[[Pcm, int, Facts], bytes]
WRITERS: dict[str, tuple[str, Write]] = dict(
    zip(
        SOUND_FORMATS,
        (
            ("audio/wav", _wav),
            ("audio/flac", partial(_by_libsndfile, "FLAC", "PCM_16")),
            ("audio/mpeg", partial(_by_libsndfile, "MP3", "MPEG_LAYER_III")),
            ("audio/ogg", _ogg),
        ),
        strict=True,
    )
)
"""Content type and writer of each format."""
