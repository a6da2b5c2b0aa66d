"""Files: the right pixels in the right places, what made them inside, the same bytes every time."""

import base64
import io
import json
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image as Picture

from models.artifacts import Frames, Image
from models.modalities import PICTURE_FORMATS
from workers.encoders.encode import encode, preview
from workers.encoders.types import Encoded, Facts, Sheet

FACTS = Facts("m", "ab" * 32, {"temperature": 1.0}, 7)
OF_SHEET = Facts("m", "ab" * 32, {}, 7, n=3, grid=True)


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def opened(file: Encoded) -> Picture.Image:
    picture = Picture.open(io.BytesIO(file.data))
    assert picture.size == (file.width, file.height)
    assert f"image/{(picture.format or '').lower()}" == file.content_type
    return picture


def metadata_of(file: Encoded) -> dict[str, Any]:
    picture = opened(file)
    return dict(json.loads(picture.info.get("atelier") or picture.getexif()[0x010E]))


def whole(pixels: torch.Tensor) -> NDArray[np.uint8]:
    """(C, H, W) as (H, W, 3)."""
    array = pixels.mul(255).round().byte().permute(1, 2, 0).expand(-1, -1, 3)
    return np.asarray(array.numpy())


def rgb(picture: Picture.Image) -> NDArray[np.uint8]:
    return np.asarray(picture.convert("RGB"))


@pytest.mark.parametrize("output_format", PICTURE_FORMATS)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_is_one_file_that_says_what_made_it(output_format: str, channels: int) -> None:
    image = Image(noise(channels, 12, 20))
    (file,) = encode(image, output_format, FACTS)
    assert (file,) == encode(image, output_format, FACTS)
    assert (file.role, file.frames, file.width, file.height) == ("picture", None, 20, 12)
    assert metadata_of(file) == {
        "model": "m",
        "checkpoint": "ab" * 32,
        "params": {"temperature": 1.0},
        "seed": 7,
    }
    if output_format != "jpeg":
        np.testing.assert_array_equal(rgb(opened(file)), whole(image.pixels))


def test_jpeg_keeps_colours_at_full_resolution() -> None:
    stripes = torch.zeros(3, 16, 16)
    stripes[0, :, ::2], stripes[2, :, 1::2] = 1.0, 1.0  # red and blue, a pixel each
    (file,) = encode(Image(stripes), "jpeg", FACTS)
    far = np.abs(rgb(opened(file)).astype(int) - whole(stripes)).max()
    assert far < 60  # with colours halved they would be purple: off by 128


@pytest.mark.parametrize("output_format", PICTURE_FORMATS)
@pytest.mark.parametrize("channels", [1, 3])
def test_frames_are_a_sheet_and_an_animation(output_format: str, channels: int) -> None:
    frames = Frames(noise(5, channels, 8, 10))
    sheet, animation = files = encode(frames, output_format, FACTS)
    assert files == encode(frames, output_format, FACTS)
    assert (sheet.role, sheet.content_type) == ("sheet", f"image/{output_format}")
    assert (sheet.width, sheet.height) == (3 * 10 + 2 * 2, 2 * 8 + 2)
    assert (animation.role, animation.content_type) == ("animation", "image/webp")
    assert (animation.frames, animation.width, animation.height) == (5, 10, 8)
    assert metadata_of(sheet) == metadata_of(animation)
    moving = opened(animation)
    assert (moving.n_frames, moving.info["loop"]) == (5, 0)  # type: ignore[attr-defined]
    for frame in range(5):
        moving.seek(frame)
        np.testing.assert_array_equal(rgb(moving), whole(frames.pixels[frame]))
        assert moving.info["duration"] == 125


def test_a_sheet_has_its_pictures_in_order_on_white() -> None:
    pictures = tuple(Image(x) for x in noise(3, 1, 4, 6))
    (file,) = encode(Sheet(pictures), "png", OF_SHEET)
    assert (file.role, file.frames) == ("sheet", None)
    assert metadata_of(file).items() >= {"n": 3, "grid": True, "seed": 7}.items()
    pixels = rgb(opened(file))
    assert pixels.shape == (4 + 2 + 4, 6 + 2 + 6, 3)
    for picture, (top, left) in zip(pictures, [(0, 0), (0, 8), (6, 0)], strict=True):
        np.testing.assert_array_equal(pixels[top : top + 4, left : left + 6], whole(picture.pixels))
    assert (pixels[4:6] == 255).all()
    assert (pixels[:, 6:8] == 255).all()
    assert (pixels[6:, 8:] == 255).all()


def test_one_picture_is_a_sheet_of_one() -> None:
    image = Image(noise(3, 5, 5))
    (sheet,), (alone,) = encode(Sheet((image,)), "png", FACTS), encode(image, "png", FACTS)
    assert sheet.data == alone.data


def test_a_preview_of_frames_is_the_last_of_them() -> None:
    frames = Frames(noise(3, 3, 200, 100))
    address = preview(frames)
    assert address == preview(Image(frames.pixels[-1]))
    picture = Picture.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
    assert picture.size == (64, 128)
