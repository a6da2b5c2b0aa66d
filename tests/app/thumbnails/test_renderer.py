"""What thumbnails show: pictures, first frames, waveforms and piano rolls."""

import io

import numpy as np
import pytest
from PIL import Image

from app.core.images.image_reader import UnreadableFile
from app.thumbnails.media_decoder import FORMATS, Waveform, decode_media
from app.thumbnails.renderer import INK, LOSSLESS, TALLEST, draw_thumbnail
from tests.app.thumbnails.media_files import (
    BLUE,
    NOISE,
    RED,
    animation,
    film,
    picture_file,
    pixels,
    score_file,
    sound_file,
)

CHUNK = 256  # samples of one peak


def drawn(data: bytes, content_type: str, width: int = 64) -> Image.Image:
    drawing = draw_thumbnail(data, content_type, width)
    picture = Image.open(io.BytesIO(drawing))
    assert picture.format == "WEBP"
    assert draw_thumbnail(data, content_type, width) == drawing
    return picture


def is_close(picture: Image.Image, x: int, y: int, colour: tuple[int, int, int]) -> bool:
    seen = picture.convert("RGB").getpixel((x, y))
    assert isinstance(seen, tuple)
    return all(abs(a - b) < 40 for a, b in zip(seen, colour, strict=True))


@pytest.mark.parametrize("channels", [1, 3])
def test_small_pictures_keep_every_pixel(channels: int) -> None:
    """Pixel art stays crisp: it is neither enlarged nor lossy."""
    original = pixels(28, 20, channels)
    thumbnail = drawn(picture_file(original), "image/png")
    whole = original if channels == 3 else np.stack([original] * 3, 2)
    assert np.array_equal(np.asarray(thumbnail), whole)


@pytest.mark.parametrize(
    ("size", "width", "expected"),
    [
        ((64, 64), 64, (64, 64)),
        ((200, 100), 128, (128, 64)),
        ((100, 200), 64, (64, 128)),
        ((1, 300), 64, (1, 256)),
        ((10, 600), 64, (4, 256)),
        ((900, 3), 64, (64, 1)),
    ],
)
def test_large_pictures_keep_their_aspect(
    size: tuple[int, int], width: int, expected: tuple[int, int]
) -> None:
    assert expected[1] <= TALLEST * width
    assert drawn(picture_file(pixels(*size)), "image/png", width).size == expected


def test_what_would_be_large_is_not_lossless() -> None:
    data = picture_file(pixels(512, 512))
    assert len(draw_thumbnail(data, "image/png", 512)) < 512 * 512 * 3 / 2
    assert len(draw_thumbnail(data, "image/png", 64)) < LOSSLESS


@pytest.mark.parametrize("file_format", ["GIF", "WEBP"])
def test_an_animation_shows_its_first_frame(file_format: str) -> None:
    data = animation(file_format, RED, BLUE)
    thumbnail = drawn(data, f"image/{file_format.lower()}")
    assert thumbnail.size == (20, 10)
    assert is_close(thumbnail, 10, 5, RED)


@pytest.mark.parametrize(
    ("file_format", "codec"), [("mp4", "libx264"), ("mov", "libx264"), ("webm", "libvpx-vp9")]
)
def test_a_film_shows_its_first_frame(file_format: str, codec: str) -> None:
    content_type = {"mov": "video/quicktime"}.get(file_format, f"video/{file_format}")
    thumbnail = drawn(film(file_format, codec), content_type)
    assert thumbnail.size == (64, 32)
    assert is_close(thumbnail, 8, 16, RED)
    assert is_close(thumbnail, 56, 16, BLUE)


def test_a_film_that_was_turned_is_shown_upright() -> None:
    thumbnail = drawn(film("mp4", "libx264", turned=True), "video/mp4")
    assert thumbnail.size == (32, 64)
    assert is_close(thumbnail, 16, 8, RED)
    assert is_close(thumbnail, 16, 56, BLUE)


@pytest.mark.parametrize("file_format", ["WAV", "FLAC"])
def test_peaks_are_those_of_the_samples(file_format: str) -> None:
    """Each is the lowest and the highest of its samples, as NumPy finds them."""
    samples = NOISE.integers(-9000, 9000, (64, CHUNK)).astype(np.int16)
    data = sound_file(samples.ravel(), file_format)
    decoded = decode_media(data, f"audio/{file_format.lower()}", 64)
    expected = zip(samples.min(1).tolist(), samples.max(1).tolist(), strict=True)
    assert decoded == Waveform(tuple(expected))


@pytest.mark.parametrize(
    ("file_format", "subtype", "content_type"),
    [("MP3", None, "audio/mpeg"), ("OGG", "VORBIS", "audio/ogg"), ("WAV", None, "audio/wav")],
)
def test_a_sound_is_a_waveform(file_format: str, subtype: str | None, content_type: str) -> None:
    """The loudest is as high as the picture, and silence a line in its middle."""
    wave = 16_000 * np.sin(np.arange(16_384) / 5)
    wave[:8192] = 0
    data = sound_file(wave.astype(np.int16), file_format, subtype)
    thumbnail = drawn(data, content_type)
    inked = np.asarray(thumbnail.convert("RGBA"))[:, :, 3] > 0
    assert thumbnail.size == (64, 32)
    assert inked[:, 5].sum() <= 2
    assert inked[15:17, 5].any()
    assert inked[:, 40:60].sum() > 20 * 28
    assert set(thumbnail.convert("RGBA").get_flattened_data()) == {INK, (0, 0, 0, 0)}


def test_a_score_is_a_piano_roll() -> None:
    data = score_file((0.0, 1.0, 60), (1.0, 2.0, 61))
    inked = np.asarray(drawn(data, "audio/midi").convert("RGBA"))[:, :, 3] > 0
    assert inked.shape == (32, 64)
    assert inked[16:, :32].all()
    assert inked[:16, 32:].all()
    assert not inked[:16, :31].any()
    assert not inked[16:, 33:].any()


BROKEN = {
    "image/png": b"\x89PNG\r\n\x1a\n",
    "audio/midi": b"MThd",
    "audio/wav": b"RIFF\0\0\0\0WAVE",
    "audio/flac": b"fLaC",
    "audio/mp4": b"\0\0\0\x14ftypM4A ",
}


@pytest.mark.parametrize("content_type", BROKEN)
def test_a_broken_file_has_none(content_type: str) -> None:
    with pytest.raises(UnreadableFile):
        draw_thumbnail(BROKEN[content_type] + bytes(500), content_type, 64)


@pytest.mark.parametrize("content_type", ["video/mp4", "audio/mpeg"])
def test_a_file_that_names_others_is_not_followed(
    content_type: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other") / "film.mp4"
    other.write_bytes(film("mp4", "libx264"))
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{other}\n#EXT-X-ENDLIST\n"
    with pytest.raises(UnreadableFile):
        draw_thumbnail(playlist.encode(), content_type, 64)


def test_every_kind_of_media_has_a_format_that_exists() -> None:
    import av

    for name in FORMATS.values():
        av.ContainerFormat(name, "r")
