"""Building a corpus: whole shards, going on where it was broken off, the gain, the windows."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.training.music import SCALE, hummed, tone
from training.data.cache import DataMissing
from training.data.music import build as music_build
from training.data.music import rendering
from training.data.music.build import Style, Works, build, build_music
from training.data.music.corpus import built_corpus, open_corpus
from training.data.music.shards import Label, Recording, read_shard, shards_of, summary, write_shard
from training.data.music.tunes import Tune, UnreadableTune

NAMES = [f"piece-{i}" for i in range(8)]
MINUTES = 0.75  # 45 seconds, of pieces of 6


class Stopped(Exception):
    pass


def works(record: Callable[[str], Recording] = hummed, synth: str = "by a test") -> Works:
    return Works(NAMES, record, synth)


def put_program(folder: Path, name: str, script: str = "") -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_shard_gives_back_what_was_put_in(tmp_path: Path) -> None:
    silent = Recording(Label("silent-0", True), np.zeros(100, np.float32))
    whole = [hummed("piece-1"), silent, hummed("piece-2", 2)]
    write_shard(tmp_path / "000.safetensors", "by a test", 3, whole)
    assert [p.name for p in tmp_path.iterdir()] == ["000.safetensors"]
    again = list(read_shard(tmp_path / "000.safetensors"))
    for had, has in zip(whole, again, strict=True):
        assert (has.label, has.notes) == (had.label, had.notes)
        assert np.abs(has.sound - had.sound).max(initial=0) < 1e-4
    assert again[0].score.notes[0].onset == pytest.approx(0.35)
    assert (again[0].score.meter, again[0].score.key) == ((3, 4), "A minor")


def test_a_sample_that_has_no_room_is_refused(tmp_path: Path) -> None:
    loud = Recording(Label("loud", False), tone(1, level=2.5))
    with pytest.raises(DataMissing, match=r"loud is too loud: 2\.5"):
        write_shard(tmp_path / "000.safetensors", "", 1, [loud])
    assert list(tmp_path.iterdir()) == []


def test_a_build_that_is_broken_off_goes_on_to_the_same_corpus(tmp_path: Path) -> None:
    build(tmp_path / "whole", {"jazz": works(), "folk": works()}, MINUTES)
    asked: list[str] = []

    def breaking(name: str) -> Recording:
        asked.append(name)
        if len(asked) == 11:
            raise Stopped
        return hummed(name)

    both = {"jazz": works(breaking), "folk": works(breaking)}
    with pytest.raises(Stopped):
        build(tmp_path / "broken", both, MINUTES)
    assert not (tmp_path / "broken/corpus.json").exists()
    (tmp_path / "broken/folk/000.safetensors.part").write_bytes(b"half")
    build(tmp_path / "broken", both, MINUTES)
    assert content(tmp_path / "broken") == content(tmp_path / "whole")
    assert asked[:8] == NAMES
    assert asked[8:] == [*NAMES[:3], *NAMES]  # of folk's shard nothing was there yet


def test_how_far_it_has_come_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(tmp_path, {"jazz": works(), "folk": works()}, 0.5)
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        "jazz: 0.1 of 0.5 minutes",
        "jazz: 0.5 of 0.5 minutes",
        "folk: 0.5 of 0.5 minutes",
    ]
    assert said.out == ""


def test_more_minutes_add_shards_and_leave_the_others(tmp_path: Path) -> None:
    build(tmp_path, {"jazz": works()}, 0.25)
    before = content(tmp_path)
    (first,) = shards_of(tmp_path / "jazz")
    assert len(list(read_shard(first))) == 3
    build(tmp_path, {"jazz": works()}, 0.5)
    after = content(tmp_path)
    assert after["jazz/000.safetensors"] == before["jazz/000.safetensors"]
    assert [one.label.name for p in shards_of(tmp_path / "jazz") for one in read_shard(p)] == NAMES[
        :5
    ]
    build(tmp_path, {"jazz": works()}, 100)  # there are no more pieces
    assert summary(tmp_path)[1] == ("jazz", "0.8", "8", "2")


def test_a_piece_that_can_not_be_read_is_told_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def record(name: str) -> Recording:
        if name in ("piece-0", *NAMES[6:]):
            raise UnreadableTune(f"{name} can't be read: no bars")
        return hummed(name)

    build(tmp_path, {"jazz": works(record)}, 100)
    (shard,) = shards_of(tmp_path / "jazz")
    assert [one.label.name for one in read_shard(shard)] == NAMES[1:6]
    assert "left out: piece-0 can't be read: no bars" in caplog.text


def test_shards_that_were_made_otherwise_are_not_gone_on_with(tmp_path: Path) -> None:
    build(tmp_path, {"jazz": works()}, 0.1)
    with pytest.raises(DataMissing, match="made with by a test, not another font; delete"):
        build(tmp_path, {"jazz": works(synth="another font")}, 0.1)
    (shard,) = shards_of(tmp_path / "jazz")
    shard.write_bytes(shard.read_bytes()[:100])
    with pytest.raises(DataMissing, match="is damaged, delete it"):
        build(tmp_path, {"jazz": works()}, 0.1)


def test_one_gain_makes_the_loudest_sample_of_all_the_peak(tmp_path: Path) -> None:
    build(tmp_path, {"jazz": works(), "folk": works()}, MINUTES)
    corpus = open_corpus(tmp_path)
    assert corpus.styles == ("folk", "jazz")
    peaks = [np.abs(one.sound).max() for style in corpus.styles for one in corpus.recordings(style)]
    assert max(peaks) * corpus.gain == pytest.approx(0.95, abs=1e-3)
    assert min(peaks) == pytest.approx(max(peaks) / 3, rel=1e-3)  # not each piece's own
    record = json.loads((tmp_path / "corpus.json").read_text())
    assert (record["gain"], record["rate"]) == (corpus.gain, 16_000)


def test_what_a_later_build_has_added_so_far_is_not_read(tmp_path: Path) -> None:
    build(tmp_path, {"jazz": works()}, 0.1)
    loud = Recording(Label("loud-0", False), tone(1, level=1.5))
    write_shard(tmp_path / "jazz/001.safetensors", "by a test", 9, [loud])
    (one,) = open_corpus(tmp_path).recordings("jazz")
    assert one.label.name == "piece-0"


def test_what_is_missing_is_told_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataMissing, match="no style 'rock'; there are classical, folk, jazz"):
        build_music(1, ["rock"], folder=tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataMissing, match="apt-get install fluidsynth fluid-soundfont-gm"):
        build_music(1, folder=tmp_path)
    put_program(tmp_path, "fluidsynth")
    put_program(tmp_path, "mma")
    with pytest.raises(DataMissing, match=r"there is no sound font .*none\.sf2"):
        build_music(1, font=tmp_path / "none.sf2", folder=tmp_path)
    (tmp_path / "mma").unlink()
    (tmp_path / "a.sf2").write_bytes(b"RIFF....sfbk")
    for wanted in (["jazz", "folk"], ["electronic"]):
        with pytest.raises(DataMissing, match="apt-get install mma"):
            build_music(1, wanted, font=tmp_path / "a.sf2", folder=tmp_path)
    assert not list(tmp_path.glob("*/"))
    with pytest.raises(DataMissing, match="holds no corpus"):
        open_corpus(tmp_path)


@pytest.fixture
def played_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A synthesiser whose sound is silent, a font for it, and two styles of four scales."""
    put_program(tmp_path, "fluidsynth", "/usr/bin/head -c 800000 /dev/zero > out.raw")
    (tmp_path / "a.sf2").write_bytes(b"RIFF....sfbk")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("ATELIER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(rendering, "FONTS", (tmp_path / "a.sf2",))
    scales = [
        Style(name, "", "", lambda: NAMES[:4], lambda name: Tune(name, name, SCALE), 1.0)
        for name in ("folk", "jazz")
    ]
    monkeypatch.setattr(music_build, "STYLES", {style.name: style for style in scales})
    monkeypatch.setattr("training.data.music.corpus.STYLES", music_build.STYLES)


@pytest.mark.usefixtures("played_silence")
def test_what_a_corpus_lacks_of_what_is_asked_for_is_built(tmp_path: Path) -> None:
    build_music(0.05, ["jazz"])
    folder = tmp_path / "cache/music"
    assert summary(folder)[1:] == [("jazz", "0.1", "1", "0")]
    with pytest.raises(DataMissing, match="music has no folk; there are jazz"):
        open_corpus(folder, ["folk", "jazz"])
    whole = built_corpus(minutes=0.15)
    assert whole.styles == ("folk", "jazz")
    assert [len(list(whole.recordings(style))) for style in whole.styles] == [3, 3]
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}
    assert built_corpus(["jazz"], 0.1).styles == ("jazz",)
    assert built_corpus(minutes=0.1) == whole
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")} == before


@pytest.mark.usefixtures("played_silence")
def test_a_style_that_mma_does_not_play_needs_none(tmp_path: Path) -> None:
    assert shutil.which("mma") is None
    build_music(0.05, ["folk"])
    assert summary(tmp_path / "cache/music")[1:] == [("folk", "0.1", "1", "0")]
