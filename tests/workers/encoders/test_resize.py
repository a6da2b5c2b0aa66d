"""Results in the size that was asked for: the whole of them, by the filter that is promised."""

import base64
import io
import json
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image as Picture

from models.artifacts import Image, Video
from models.modalities import PICTURE_FORMATS, VIDEO_FORMATS
from workers.encoders.encode import encode, preview
from workers.encoders.resize import edge_colour, fitted_size, resized
from workers.encoders.types import Facts, Sheet


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def pixels(height: int, width: int, channels: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)


def lanczos(count: int, wanted: int) -> NDArray[np.float64]:
    """Weights (wanted, count) of Lanczos over three lobes, wider where a side is reduced."""
    scale = max(1.0, count / wanted)
    centres = (np.arange(wanted) + 0.5) * count / wanted
    x = (np.arange(count) + 0.5 - centres[:, None]) / scale
    weights = np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)
    normal: NDArray[np.float64] = weights / weights.sum(1, keepdims=True)
    return normal


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("own", "wanted"), [((16, 12), (40, 30)), ((40, 30), (16, 12))])
def test_the_filter_is_lanczos(
    own: tuple[int, int], wanted: tuple[int, int], channels: int
) -> None:
    """Against the formula, in two passes as Pillow does, each rounded to 8 bits."""
    source = pixels(own[1], own[0], channels)
    (result,) = resized([source], wanted)
    across = np.einsum("wx,yxc->ywc", lanczos(own[0], wanted[0]), source)
    across = across.round().clip(0, 255)
    both = np.einsum("hy,ywc->hwc", lanczos(own[1], wanted[1]), across).round().clip(0, 255)
    assert result.shape == (wanted[1], wanted[0], channels)
    assert np.abs(result.astype(float) - both).max() <= 1


@pytest.mark.parametrize(
    ("own", "wanted", "inner"),
    [
        ((64, 64), (512, 512), (512, 512)),
        ((256, 256), (1792, 1024), (1024, 1024)),
        ((256, 256), (1024, 1792), (1024, 1024)),
        ((1368, 768), (1366, 768), (1366, 768)),
        ((64, 64), (33, 32), (33, 32)),
        ((64, 64), (8, 1792), (8, 8)),
        ((1000, 8), (8, 8), (8, 1)),
    ],
)
def test_all_of_a_picture_fits(
    own: tuple[int, int], wanted: tuple[int, int], inner: tuple[int, int]
) -> None:
    assert fitted_size(own, wanted) == inner


def test_what_is_left_has_the_colour_of_the_edge() -> None:
    source = np.full((8, 8, 3), (200, 100, 50), np.uint8)
    source[2:6, 2:6] = 0
    assert edge_colour(source).tolist() == [200, 100, 50]
    first, second = resized([source, np.zeros_like(source)], (24, 8))
    np.testing.assert_array_equal(first[:, 8:16], source)
    for frame in (first, second):  # frames don't flicker
        assert np.unique(frame[:, :8].reshape(-1, 3), axis=0).tolist() == [[200, 100, 50]]
        assert np.unique(frame[:, 16:].reshape(-1, 3), axis=0).tolist() == [[200, 100, 50]]


def facts(size: str | None) -> Facts:
    return Facts("m", "ab" * 32, {}, 7, output_size=size)


@pytest.mark.parametrize("output_format", PICTURE_FORMATS)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_says_that_it_was_resized(output_format: str, channels: int) -> None:
    image = Image(noise(channels, 12, 12), ("a note",))
    (file,) = encode(image, output_format, facts("24x24"))
    assert (file,) == encode(image, output_format, facts("24x24"))
    assert (file.width, file.height) == (24, 24)
    assert file.notes == ("a note", "made at 12x12, then resized to 24x24")
    opened: Any = Picture.open(io.BytesIO(file.data))
    assert opened.size == (24, 24)
    text = opened.info.get("atelier") or opened.getexif()[0x010E]
    assert json.loads(text)["output_size"] == "24x24"


def test_the_models_own_size_changes_no_pixel() -> None:
    image = Image(noise(3, 12, 16))
    (own,) = encode(image, "png", facts(None))
    (same,) = encode(image, "png", facts("16x12"))
    assert same.notes == ()
    first, second = (np.asarray(Picture.open(io.BytesIO(file.data))) for file in (own, same))
    np.testing.assert_array_equal(first, second)
    assert "output_size" not in facts(None).text()


def test_a_sheet_stays_as_it_is() -> None:
    (file,) = encode(Sheet((Image(noise(3, 8, 8)),)), "png", facts("64x64"))
    assert (file.width, file.height) == (8, 8)


@pytest.mark.parametrize("output_format", VIDEO_FORMATS)
def test_a_video_and_its_poster_are_resized_and_its_sheet_is_not(output_format: str) -> None:
    video = Video(noise(4, 3, 16, 16), 8.0, notes=("a note",))
    whole, poster, sheet = encode(video, output_format, facts("48x32"))
    assert (whole.width, whole.height, whole.frames) == (48, 32, 4)
    assert (poster.width, poster.height) == (48, 32)
    assert (sheet.width, sheet.height) == (34, 34)
    assert whole.notes == ("a note", "made at 16x16, then resized to 48x32")
    assert whole == encode(video, output_format, facts("48x32"))[0]


@pytest.mark.parametrize(
    ("size", "shown"),
    [(None, (12, 12)), ("1792x1024", (128, 73)), ("64x32", (64, 32)), ("512x512", (128, 128))],
)
def test_a_preview_has_the_proportions_of_the_result(
    size: str | None, shown: tuple[int, int]
) -> None:
    url = preview(Image(noise(3, 12, 12)), size)
    data = base64.b64decode(url.removeprefix("data:image/png;base64,"))
    assert Picture.open(io.BytesIO(data)).size == shown
