"""Building the captioned clips: from packages, resumable, and which are held out."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.data.cache import DataMissing, cache_folder
from training.data.video import build, clips
from training.data.video.build import ClipName, build_clips, clip_names, read_loop, taken

SKINS = [
    {"hexcode": "1F44B-1F3FF", "label": "waving hand: dark skin tone"},
    {"hexcode": "1F44B-1F3FB", "label": "waving hand: light skin tone"},
]
EMOJIS = [
    {"hexcode": "1F44B", "label": "waving hand", "tags": ["wave"], "group": 0, "skins": SKINS},
    {"hexcode": "2764-FE0F", "label": "red heart", "tags": ["love", "red"], "group": 1},
    {"hexcode": "1F6AA", "label": "door", "group": 1},
    {"hexcode": "1F3FB", "label": "light skin tone", "group": 2},
]
GROUPS = [{"key": "people", "order": 0}, {"key": "things", "order": 1}]
MESSAGES = {"groups": [*GROUPS, {"key": "component", "order": 2}]}


def animate(path: Path, colours: list[int]) -> None:
    """A frame of each brightness of red, half clear."""
    frames = [Image.new("RGBA", (20, 20), (value, 0, 0, 255)) for value in colours]
    for frame in frames:
        frame.paste((0, 0, 0, 0), (10, 0, 20, 20))
    path.parent.mkdir(parents=True, exist_ok=True)
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True, duration=40)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every package, as if it had been fetched: two that move, a tone of one, and one that does
    not move."""
    monkeypatch.setenv("ATELIER_CACHE", str(tmp_path / "cache"))
    npm = cache_folder() / "npm"
    names = npm / "emojibase-data-17.0.0/package/en"
    names.mkdir(parents=True)
    (names / "data.json").write_text(json.dumps(EMOJIS))
    (names / "messages.json").write_text(json.dumps(MESSAGES))
    for number in range(1, 5):
        (npm / f"lobehub-fluent-emoji-anim-{number}-1.0.0/package/assets").mkdir(parents=True)
    assets = npm / "lobehub-fluent-emoji-anim-3-1.0.0/package/assets"
    animate(assets / "1f44b.webp", list(range(0, 240, 10)))
    animate(assets / "1f44b-1f3ff.webp", list(range(5, 245, 10)))
    animate(assets / "2764-fe0f.webp", [200, 100, 0])
    Image.new("RGB", (20, 20)).save(assets / "1f6aa.webp", lossless=True)
    clips.load_clips.cache_clear()
    return cache_folder()


def test_clips_are_built_with_their_names(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "TONES", 1.0)
    built = clips.load_clips(8, 10)
    assert built.hexcode.tolist() == ["1f44b", "1f44b-1f3ff", "2764"]
    assert built.plain.tolist() == ["1f44b", "1f44b", "2764"]
    assert built.caption.tolist()[1:] == ["waving hand: dark skin tone", "red heart"]
    assert built.tone.tolist() == ["", "dark skin tone", ""]
    assert built.keywords.tolist() == ["wave", "wave", "love, red"]
    assert built.group.tolist() == ["people", "people", "things"]
    assert built.clips.shape == (3, 8, 3, 10, 10)
    assert built.clips[0, :, 0, 5, 1].tolist() == [0, 30, 60, 90, 120, 150, 180, 210]
    assert built.clips[0, 3, :, 5, 8].tolist() == [255, 255, 255]
    assert built.held_out[0] == built.held_out[1] != built.held_out[2]  # kin stay together


def test_a_build_goes_on_where_it_was_broken_off(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "SHARD", 1)
    monkeypatch.setattr(build, "TONES", 1.0)
    folder = cache / "clips-4x8"
    whole = build.read_loop
    calls: list[str] = []

    def breaks(path: Path, frames: int, size: int) -> object:
        if len(calls) == 1:
            raise KeyboardInterrupt
        calls.append(path.stem)
        return whole(path, frames, size)

    monkeypatch.setattr(build, "read_loop", breaks)
    with pytest.raises(KeyboardInterrupt):
        build_clips(folder, 4, 8)
    assert [p.name for p in folder.iterdir()] == ["000.npz"]
    monkeypatch.setattr(build, "read_loop", whole)
    before = (folder / "000.npz").stat().st_mtime_ns
    assert len(clips.load_clips(4, 8).clips) == 3
    assert (folder / "000.npz").stat().st_mtime_ns == before


def test_some_skin_tones_are_taken_and_every_plain_emoji() -> None:
    plain = [ClipName(f"{i:x}", f"{i:x}", "", "", "", "") for i in range(300)]
    toned = [ClipName(f"{i:x}-1f3ff", f"{i:x}", "", "", "", "dark") for i in range(300)]
    assert all(map(taken, plain))
    assert 60 < sum(map(taken, toned)) < 120


def test_components_have_no_name(cache: Path) -> None:
    names = clip_names(cache / "npm/emojibase-data-17.0.0/package")
    assert set(names) == {"1f44b", "1f44b-1f3ff", "1f44b-1f3fb", "2764", "1f6aa"}


def test_a_loop_ends_before_its_beginning(tmp_path: Path) -> None:
    animate(tmp_path / "a.webp", [0, 60, 120, 180])
    assert read_loop(tmp_path / "a.webp", 4, 20)[:, 0, 0, 0].tolist() == [0, 60, 120, 180]
    assert read_loop(tmp_path / "a.webp", 8, 20)[:, 0, 0, 0].tolist() == [
        value for value in (0, 60, 120, 180) for _ in range(2)
    ]


@pytest.mark.parametrize("content", [b"", b"RIFF", b"no picture at all"])
def test_a_file_that_is_no_animation_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.webp").write_bytes(content)
    with pytest.raises(DataMissing, match=r"bad\.webp can't be read"):
        read_loop(tmp_path / "bad.webp", 4, 4)


def test_a_damaged_shard_is_named(cache: Path) -> None:
    clips.load_clips(4, 8)
    shard = cache / "clips-4x8/000.npz"
    shard.write_bytes(np.random.default_rng(0).bytes(100))
    clips.load_clips.cache_clear()
    with pytest.raises(DataMissing, match="damaged, delete it"):
        clips.load_clips(4, 8)
