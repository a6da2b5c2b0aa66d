"""Videos to files: what is in them, that they repeat, and what is said of odd sizes."""

import base64
import io
import json
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image as Picture
from PIL.GifImagePlugin import GifImageFile
from PIL.WebPImagePlugin import WebPImageFile

from models.artifacts import NotFinite, Video
from models.modalities import VIDEO_FORMATS
from workers.encoders.encode import encode, preview
from workers.encoders.types import Facts

FACTS = Facts("m", "ab" * 32, {"prompt": "狗 \U0001f600"}, 7)


def video(frames: int = 6, height: int = 32, width: int = 32, **how: Any) -> Video:
    """A bright square that goes down over a ramp."""
    x = torch.linspace(0, 1, width).expand(frames, 3, height, width).clone()
    for frame in range(frames):
        x[frame, :2, 2 * frame : 2 * frame + 8, 4:12] = 1
    return Video(x, **{"fps": 8.0, **how})


def decoded(data: bytes) -> np.ndarray[Any, Any]:
    with av.open(io.BytesIO(data), "r") as box:
        return np.stack([f.to_ndarray(format="rgb24") for f in box.decode(video=0)])


def test_an_mp4_holds_the_frames_and_what_made_them() -> None:
    clip = video()
    file = encode(clip, "mp4", FACTS)[0]
    assert (file.content_type, file.role) == ("video/mp4", "video")
    assert (file.width, file.height, file.frames, file.fps, file.seconds) == (32, 32, 6, 8, 0.75)
    frames = decoded(file.data)
    expected_pixels = clip.pixels.mul(255).permute(0, 2, 3, 1).numpy()
    assert frames.shape == expected_pixels.shape
    assert np.abs(frames - expected_pixels).mean() < 4
    with av.open(io.BytesIO(file.data)) as box:
        (stream,) = box.streams.video
        assert (stream.codec_context.name, stream.format.name) == ("h264", "yuv420p")
        assert stream.average_rate == 8
        assert json.loads(box.metadata["comment"]) == json.loads(FACTS.text())
    assert file.data.index(b"moov") < file.data.index(b"mdat")  # it plays while it is fetched


@pytest.mark.parametrize("output_format", VIDEO_FORMATS)
def test_bytes_repeat_with_a_poster_and_a_sheet_beside_them(output_format: str) -> None:
    clip = video()
    files, again = encode(clip, output_format, FACTS), encode(video(), output_format, FACTS)
    assert [f.data for f in files] == [f.data for f in again]
    assert [f.role for f in files] == ["video", "poster", "sheet"]
    assert [f.content_type for f in files[1:]] == ["image/png", "image/png"]
    poster = np.asarray(Picture.open(io.BytesIO(files[1].data)))
    first = clip.pixels[0].mul(255).round().permute(1, 2, 0).numpy()
    assert (poster == first).all()
    assert (files[2].width, files[2].height) == (3 * 34 - 2, 2 * 34 - 2)


def test_an_mp4_plays_its_loop_as_often_as_it_is_asked_to() -> None:
    file = encode(video(repeat=3), "mp4", FACTS)[0]
    frames = decoded(file.data).astype(int)
    assert (len(frames), file.frames, file.seconds) == (18, 18, 2.25)
    assert np.abs(frames[6] - frames[0]).mean() < 4


@pytest.mark.parametrize(("again", "repeat", "loops"), [(True, 1, 0), (True, 2, 0), (False, 3, 3)])
def test_a_webp_counts_its_own_loops(again: bool, repeat: int, loops: int) -> None:
    file = encode(video(again=again, repeat=repeat), "webp", FACTS)[0]
    with WebPImageFile(io.BytesIO(file.data)) as picture:
        assert (picture.n_frames, picture.info["loop"]) == (6, loops)
        assert json.loads(picture.getexif()[0x010E]) == json.loads(FACTS.text())
        picture.seek(3)
        expected_pixels = video().pixels[3].mul(255).round().permute(1, 2, 0).numpy()
        assert (np.asarray(picture.convert("RGB")) == expected_pixels).all()


@pytest.mark.parametrize(
    ("again", "repeat", "loops"), [(True, 1, 0), (False, 1, None), (False, 3, 2)]
)
def test_a_gif_counts_the_loops_after_the_first(
    again: bool, repeat: int, loops: int | None
) -> None:
    file = encode(video(again=again, repeat=repeat), "gif", FACTS)[0]
    with GifImageFile(io.BytesIO(file.data)) as picture:
        assert (picture.n_frames, picture.info.get("loop")) == (6, loops)
        assert json.loads(picture.info["comment"]) == json.loads(FACTS.text())
        spans = []
        for frame in range(6):
            picture.seek(frame)
            spans.append(picture.info["duration"])
    assert sum(spans) == 750  # though a GIF has no 125 ms
    assert set(spans) == {120, 130}


def test_a_gif_too_fast_for_players_says_so() -> None:
    assert encode(video(fps=60.0), "gif", FACTS)[0].notes == (
        "players show a GIF at 50 fps at most",
    )
    assert encode(video(fps=50.0), "gif", FACTS)[0].notes == ()


@pytest.mark.parametrize(("height", "width"), [(31, 32), (32, 31), (33, 35)])
def test_odd_sizes_are_filled_up_for_h264_and_said(height: int, width: int) -> None:
    file = encode(video(height=height, width=width), "mp4", FACTS)[0]
    high, wide = height + height % 2, width + width % 2
    assert (file.height, file.width) == (high, wide)
    assert file.notes == (f"filled up to {wide}x{high} pixels: H.264 takes even sizes",)
    assert decoded(file.data).shape == (6, high, wide, 3)
    whole = encode(video(height=height, width=width), "webp", FACTS)[0]
    assert (whole.height, whole.width, whole.notes) == (height, width, ())


def test_grey_frames_are_films_too() -> None:
    clip = Video(video().pixels[:, :1], 8.0)
    for output_format in VIDEO_FORMATS:
        assert encode(clip, output_format, FACTS)[0].frames == 6


def test_notes_of_the_model_come_with_the_video() -> None:
    files = encode(video(notes=("not understood: gibberish",)), "mp4", FACTS)
    assert files[0].notes == ("not understood: gibberish",)


def test_a_preview_is_a_strip_of_some_frames() -> None:
    url = preview(video(frames=8))
    picture = Picture.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
    assert picture.size == (4 * 32, 32)


@pytest.mark.parametrize(
    ("pixels", "how"),
    [
        (torch.zeros(0, 3, 4, 4), {}),
        (torch.zeros(2, 2, 4, 4), {}),
        (torch.zeros(2, 3, 4, 4), {"fps": 0.0}),
        (torch.zeros(2, 3, 4, 4), {"repeat": 0}),
    ],
)
def test_what_is_no_video_is_refused(pixels: torch.Tensor, how: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Video(pixels, **{"fps": 8.0, **how})


def test_frames_that_are_not_finite_are_refused() -> None:
    with pytest.raises(NotFinite):
        Video(torch.full((2, 3, 4, 4), torch.nan), 8.0)
