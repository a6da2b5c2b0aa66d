import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from training.data.cache import DataMissing, cache_folder, require_program, run_program
from training.data.images import emoji, emoji_build, fashion

RED = '<path fill="#f00" d="M0 0h16v16H0z"/>'
HALF = '<path fill="#00f" d="M0 0h16v16H0z"/>'
EMOJIS = [
    {"hexcode": "1F600", "label": "grinning face", "tags": ["smile"], "group": 0, "subgroup": 0},
    {"hexcode": "2764-FE0F", "label": "red heart", "group": 0, "subgroup": 1},
    {"hexcode": "1F3FB", "label": "light skin tone", "group": 2, "subgroup": 2},
    {"hexcode": "1F1E6", "label": "regional indicator A"},
]
MESSAGES = {
    "groups": [
        {"key": "smileys-emotion", "order": 0},
        {"key": "component", "order": 2},
    ],
    "subgroups": [
        {"key": "face-smiling", "order": 0},
        {"key": "heart", "order": 1},
        {"key": "skin-tone", "order": 2},
    ],
}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ATELIER_CACHE", str(tmp_path / "cache"))
    return cache_folder()


def put(package: Path, files: dict[str, object]) -> None:
    for name, content in files.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))


def fill(cache: Path) -> None:
    """Every npm package, as if fetched already, with two emoji in it."""
    npm = cache / "npm"
    put(
        npm / "emojibase-data-17.0.0/package",
        {"en/data.json": EMOJIS, "en/messages.json": MESSAGES},
    )
    icons = {
        "width": 16,
        "height": 16,
        "icons": {"grinning-face": {"body": RED}, "heart": {"body": HALF, "width": 32}},
    }
    for name in ("noto", "noto-v1", "twemoji", "fluent-emoji", "fluent-emoji-flat", "fxemoji"):
        (folder,) = {s.package for s in emoji_build.SVG_SETS if f"/{name}@" in s.package}
        put(
            npm / folder.strip("@").replace("@", "-").replace("/", "-") / "package",
            {"icons.json": icons, "chars.json": {"2764-fe0f": "heart"}},
        )
    assets = npm / "lobehub-fluent-emoji-3d-1.1.0/package/assets"
    assets.mkdir(parents=True)
    Image.new("RGBA", (128, 128), (0, 255, 0, 255)).save(assets / "1f600.webp", lossless=True)


def test_the_set_is_built_from_the_packages(cache: Path) -> None:
    pytest.importorskip("resvg_py", reason="draws the SVG emoji")
    fill(cache)
    built = emoji.load_emoji()
    assert sorted(set(built.vendor.tolist())) == sorted(
        [*(s.vendor for s in emoji_build.SVG_SETS), "fluent-3d"]
    )
    assert len(built.images) == 13
    first = built.images[0]
    assert first.shape == (3, 64, 64)
    assert first[:, 32, 32].tolist() == [255, 0, 0]
    assert built.images[-1][:, 32, 32].tolist() == [0, 255, 0]
    heart = built.images[1]  # half as wide as its box
    assert heart[:, 32, 10].tolist() == [0, 0, 255]
    assert heart[:, 32, 60].tolist() == [255, 255, 255]
    assert built.caption[:2].tolist() == ["grinning face", "red heart"]
    assert built.hexcode[1] == "2764"
    assert built.subgroup.tolist()[:2] == ["face-smiling", "heart"]
    assert np.array_equal(emoji.load_emoji().images, built.images)  # now from the cache


def test_no_caption_is_in_both_parts(cache: Path) -> None:
    rows = 60
    captions = np.array([f"face {i // 3}" for i in range(rows)])
    np.savez(
        cache / "emoji64.npz",
        images=np.arange(rows, dtype=np.uint8)[:, None, None, None]
        * np.ones((1, 3, 2, 2), np.uint8),
        caption=captions,
        keywords=captions,
        group=np.array(["smileys-emotion"] * 54 + ["flags"] * 6),
        subgroup=np.array(["face-smiling"] * 48 + ["emotion"] * 12),
        vendor=np.array(["a", "b", "c"] * 20),
        license=captions,
        hexcode=np.array([f"{i // 3:x}" for i in range(rows)]),
    )
    data = emoji.load_faces()
    train, test = (
        {int(x) // 3 for x in columns[0][:, 0, 0, 0]} for columns in (data.train, data.test)
    )
    assert train.isdisjoint(test)
    assert train | test == set(range(16))
    assert test


@pytest.mark.parametrize("side", [4, 16])
def test_what_can_be_seen_through_is_drawn_on_white(side: int) -> None:
    picture = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    picture.paste((255, 0, 0, 255), (0, 0, 8, 4))
    array = emoji_build.on_white(picture, side)
    assert (array.shape, array.dtype) == ((3, side, side), np.uint8)
    assert array[:, 0, 0].tolist() == [255, 0, 0]
    assert array[:, -1, -1].tolist() == [255, 255, 255]


def test_names_are_matched_whatever_their_signs() -> None:
    assert emoji_build.plain_name("Piñata: 1st!") == "pinata1st"
    assert emoji_build.plain_hexcode("1F441-FE0F-200D-1F5E8-FE0F") == "1f441-200d-1f5e8"


def test_an_alias_is_drawn_as_its_parent() -> None:
    icons = {"icons": {"happy": {"body": RED}}, "aliases": {"grinning-face": {"parent": "happy"}}}
    name = emoji_build.Name("1f600", "grinning face", "", "", "")
    (document,) = emoji_build.icons_by_hexcode(icons, {}, [name]).values()
    assert RED in document
    assert 'viewBox="0 0 16 16"' in document


def test_a_missing_program_is_named() -> None:
    with pytest.raises(DataMissing, match=r"no-such-program is not installed.*for a test"):
        require_program("no-such-program", "for a test")


def test_a_failing_program_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="sh failed: out of wool"):
        run_program(["/bin/sh", "-c", "echo out of wool >&2; exit 3"], tmp_path)


def test_idx_files_become_arrays() -> None:
    raw = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6])
    assert fashion.parse_idx(raw).tolist() == [[1, 2, 3], [4, 5, 6]]
    with pytest.raises(DataMissing, match="not an IDX file"):
        fashion.parse_idx(b"\0\0\x09" + raw[3:])


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"damaged")
    with pytest.raises(DataMissing, match="train-images-idx3-ubyte is damaged"):
        fashion.read_checked(tmp_path / "train-images-idx3-ubyte", "00")


def test_fashion_mnist_has_its_shapes() -> None:
    if not (cache_folder() / "fashion-mnist" / "t10k-labels-idx1-ubyte").exists():
        pytest.skip("needs Fashion-MNIST (31 MB), which `atelier train vae-fashion` fetches")
    data = fashion.load_fashion()
    assert data.train[0].shape == (60_000, 1, 28, 28)
    assert data.test[0].shape == (10_000, 1, 28, 28)
    assert data.train[0].dtype == torch.uint8
    assert data.train[1].bincount().tolist() == [6000] * 10
