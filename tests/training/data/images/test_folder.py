"""A user's folder becomes a data set, or one clear line that names the file at fault."""

import logging
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.training.drawn import draw, draw_folder
from training.data.cache import DataMissing
from training.data.images import folder as own
from training.data.images.folder import find_pictures, held_out_files, load_folder

WHITE, RED = [255, 255, 255], [255, 0, 0]


def only(folder: Path, channels: int = 3) -> list[list[int]]:
    """What became of the picture that lies among drawn ones: its middle pixel in each column."""
    data = load_folder(draw_folder(folder), 8, channels)
    files = find_pictures(folder)
    rows = iter(data.train[0]), iter(data.test[0])
    row = [next(rows[test]) for test in held_out_files(files)]
    (mine,) = (x for x, name in zip(row, files, strict=True) if name.startswith("mine"))
    return mine[:, 4].T.tolist()


def test_mixed_sizes_and_modes_become_equal_rows(tmp_path: Path) -> None:
    kinds = [
        ("RGB", "png"),
        ("L", "jpg"),
        ("LA", "png"),
        ("P", "gif"),
        ("RGBA", "webp"),
        ("CMYK", "jpeg"),
        ("1", "bmp"),
        ("RGBA", "PNG"),
        ("RGB", "JPG"),
    ]
    for i, (mode, suffix) in enumerate(kinds):
        draw(tmp_path / f"deep/{i}.{suffix}", i, (9 + 30 * i, 200 - 20 * i), mode)
    for channels in (1, 3):
        data = load_folder(tmp_path, 16, channels)
        assert len(data.train[0]) + len(data.test[0]) == len(kinds)
        assert data.train[0].shape[1:] == data.test[0].shape[1:] == (channels, 16, 16)
        assert data.train[0].dtype == torch.uint8
        assert len(data.train[0].flatten(1).unique(dim=0)) == len(data.train[0])
        assert data.labels == ()
        assert len(data.train) == 1


def test_what_can_be_seen_through_lies_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(tmp_path / "mine.png")
    assert only(tmp_path)[0] == WHITE


def test_a_palette_with_a_clear_colour_lies_on_white(tmp_path: Path) -> None:
    Image.new("P", (8, 8), 0).save(tmp_path / "mine.gif", transparency=0)
    assert only(tmp_path)[0] == WHITE


def test_the_middle_square_is_taken(tmp_path: Path) -> None:
    pixels = np.zeros((40, 120, 3), np.uint8)
    pixels[:, 40:80] = RED
    Image.fromarray(pixels).save(tmp_path / "mine.png")
    assert only(tmp_path) == [RED] * 8


def test_a_picture_stands_as_its_exif_says(tmp_path: Path) -> None:
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:16] = RED  # above, and after a quarter turn at the right
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "mine.webp", exif=exif, lossless=True)
    row = only(tmp_path)
    assert (row[0], row[-1]) == ([0, 0, 0], RED)


def test_odd_exif_tags_refuse_no_turned_picture(tmp_path: Path) -> None:
    """A maker's name that is a fraction can be read, and not written again."""
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:16] = RED
    maker, turned = (0x010F, 5, 1, 38), (0x0112, 3, 1, 6)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2)
    exif += b"".join(struct.pack("<HHII", *tag) for tag in (maker, turned)) + bytes(4)
    exif += struct.pack("<II", 1, 2)
    Image.fromarray(pixels).save(tmp_path / "mine.webp", exif=exif, lossless=True)
    row = only(tmp_path)
    assert (row[0], row[-1]) == ([0, 0, 0], RED)


def test_sixteen_bits_are_scaled_and_not_cut_off(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 128 * 257, np.uint16)).save(tmp_path / "mine.png")
    assert only(tmp_path, channels=1)[0] == [128]


def test_the_first_picture_of_an_animation_is_taken(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "mine.gif", save_all=True, append_images=frames[1:])
    assert only(tmp_path)[0] == RED


def test_the_same_folder_is_the_same_data(tmp_path: Path) -> None:
    one, other = load_folder(draw_folder(tmp_path), 8, 3), load_folder(tmp_path, 8, 3)
    assert torch.equal(one.train[0], other.train[0])
    assert torch.equal(one.test[0], other.test[0])


def test_about_one_in_ten_is_held_out_by_its_name_alone() -> None:
    names = [f"{i}.png" for i in range(500)]
    test = held_out_files(names)
    assert 30 < sum(test) < 70
    assert held_out_files(names[:250]) == test[:250]
    never = [name for name, out in zip(names, test, strict=True) if not out][:8]
    always = [name for name, out in zip(names, test, strict=True) if out][:8]
    assert sum(held_out_files(never)) == 1
    assert sum(held_out_files(always)) == 7


def test_labels_come_from_a_table(tmp_path: Path) -> None:
    draw_folder(tmp_path / "in")
    lines = [f"./in/{i:02d}.png, {'odd' if i % 2 else 'even, or none'!r}" for i in range(12)]
    text = "\n".join(["file,label", *lines]).replace("'even, or none'", '"even, or none"')
    (tmp_path / "labels.csv").write_text(text.replace(', "', ',"').replace("'", ""), "utf-8-sig")
    data = load_folder(tmp_path, 8, 3)
    assert data.labels == ("even, or none", "odd")
    test = held_out_files(find_pictures(tmp_path))
    train = [i % 2 for i in range(12) if not test[i]]
    assert data.train[1].tolist() == train
    assert data.test[1].tolist() == [i % 2 for i in range(12) if test[i]]


def test_folders_are_labels_if_every_picture_lies_in_one(tmp_path: Path) -> None:
    draw_folder(tmp_path / "cats/old", 5)
    draw_folder(tmp_path / "dogs", 5)
    data = load_folder(tmp_path, 8, 3)
    assert data.labels == ("cats", "dogs")
    assert sorted(torch.cat([data.train[1], data.test[1]]).tolist()) == [0] * 5 + [1] * 5
    draw(tmp_path / "stray.png")
    assert load_folder(tmp_path, 8, 3).labels == ()


def test_one_folder_below_is_no_label(tmp_path: Path) -> None:
    draw_folder(tmp_path / "pictures")
    assert load_folder(tmp_path, 8, 3).labels == ()


def test_other_files_are_passed_over_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    draw_folder(tmp_path)
    draw(tmp_path / ".hidden/0.png")
    (tmp_path / "notes.txt").write_text("by hand")
    with caplog.at_level(logging.WARNING):
        assert len(find_pictures(tmp_path)) == 12
    assert caplog.messages == ["passed over, being no pictures by their names: notes.txt"]


@pytest.mark.parametrize(
    ("count", "message"),
    [(0, "holds no pictures"), (1, "holds 1 picture "), (7, "holds 7 pictures ")],
)
def test_too_few_pictures_are_refused(tmp_path: Path, count: int, message: str) -> None:
    with pytest.raises(DataMissing, match=rf"{message}.*at least 8 are needed"):
        load_folder(draw_folder(tmp_path, count), 8, 3)


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="nowhere is not there"):
        load_folder(tmp_path / "nowhere", 8, 3)
    with pytest.raises(DataMissing, match=r"a\.png is a file"):
        load_folder(draw(tmp_path / "a.png"), 8, 3)


def broken(path: Path) -> None:
    whole = draw(path, size=(64, 64)).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


@pytest.mark.parametrize(
    ("name", "spoil", "message"),
    [
        ("in/text.png", lambda p: p.write_text("text"), "in/text.png is no picture"),
        ("cut.jpg", broken, "cut.jpg is no picture, or is broken or cut short"),
        ("cut.png", broken, "cut.png is no picture, or is broken or cut short"),
        ("empty.gif", lambda p: p.write_bytes(b""), "empty.gif is no picture"),
        ("code.png", lambda p: p.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n"), "code.png is no"),
    ],
)
def test_a_file_that_is_no_picture_is_named(
    tmp_path: Path, name: str, spoil: object, message: str
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    spoil(tmp_path / name)  # type: ignore[operator]
    with pytest.raises(DataMissing, match=message):
        load_folder(draw_folder(tmp_path), 8, 3)


@pytest.mark.parametrize("side", [9_000, 20_000])
def test_a_bomb_is_refused_by_its_header(tmp_path: Path, side: int) -> None:
    screen = b"GIF89a" + struct.pack("<HH3x", side, side)
    frame = struct.pack("<cHHHHB", b",", 0, 0, side, side, 0) + b"\x02\x02\x44\x01\x00;"
    (draw_folder(tmp_path) / "bomb.gif").write_bytes(screen + frame)
    with pytest.raises(DataMissing, match=r"bomb\.gif is too large"):
        load_folder(tmp_path, 8, 3)


def test_more_than_memory_should_hold_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own, "MOST_BYTES", 1000)
    with pytest.raises(DataMissing, match="12 pictures of 64x64 take"):
        load_folder(draw_folder(tmp_path), 64, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "must begin with the line file,label"),
        (b"name,kind\n00.png,a\n", "must begin with the line file,label"),
        (b"file,label\n00.png,a\n99.png,b\n", "line 3 of labels.csv names '99.png', and there is"),
        (b"file,label\n00.png,a\n00.png,b\n", "line 3 .* names 00.png for the second time"),
        (b"file,label\n00.png, \n", "line 2 of labels.csv has no label for 00.png"),
        (b"file,label\n00.png\n", "line 2 of labels.csv has 1 cells"),
        (b"file,label\n00.png,a,b\n", "line 2 of labels.csv has 3 cells"),
        (b"file,label\n00.png,a\n", "labels.csv has no label for 01.png"),
        (b'file,label\n00.png,"a\n', "labels.csv can't be read"),
        (b"file,label\n00.png,\xff\n", "labels.csv can't be read"),
    ],
)
def test_a_table_that_is_wrong_is_told_by_its_line(
    tmp_path: Path, text: bytes, message: str
) -> None:
    (draw_folder(tmp_path) / "labels.csv").write_bytes(text)
    with pytest.raises(DataMissing, match=message):
        load_folder(tmp_path, 8, 3)
