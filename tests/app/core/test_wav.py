"""What stands before a WAV file's samples, as the standard library and libsndfile read it."""

import io
import wave

import pytest
import soundfile

from app.core.wav import UNKNOWN, wav_header


@pytest.mark.parametrize("comment", ["", "odd", "even"])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_header_and_samples_are_a_file(channels: int, comment: str) -> None:
    samples = bytes(range(200)) * channels
    data = wav_header(8000, channels, len(samples), comment) + samples
    with wave.open(io.BytesIO(data)) as file:
        assert file.getparams()[:4] == (channels, 2, 8000, 100)
        assert file.readframes(200) == samples
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        assert (file.frames, file.comment) == (100, comment)
    assert int.from_bytes(data[4:8], "little") == len(data) - 8


def test_a_header_without_a_length_is_read_to_the_end() -> None:
    data = wav_header(8000, 1, None) + bytes(1000)
    assert (data[4:8], data[40:44]) == (UNKNOWN.to_bytes(4, "little"),) * 2
    samples, rate = soundfile.read(io.BytesIO(data))
    assert (len(samples), rate) == (500, 8000)
