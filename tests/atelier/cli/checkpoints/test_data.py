"""`atelier data`: what is built, and one line of why not."""

from pathlib import Path

import pytest

from tests.atelier.commands import atelier, refused


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_CACHE", str(tmp_path / "cache"))


def test_the_group_lists_what_it_builds() -> None:
    said = atelier("data", "--help")
    assert "music" in said.out
    assert "Build training data ahead, into the cache." in said.out


def test_a_folder_of_sound_files_becomes_a_corpus(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile", reason="writes sound files")
    from tests.training.music import tone

    (tmp_path / "dub").mkdir()
    for name in ("a.wav", "b.flac"):
        soundfile.write(tmp_path / "dub" / name, tone(3), 16_000)
    said = atelier("data", "music", "--from", tmp_path / "dub")
    assert said.status == 0, said.err
    folder, heads, row = said.out.splitlines()
    assert (Path(folder) / "corpus.json").is_file()
    assert (heads.split(), row.split()) == (
        ["style", "minutes", "pieces", "held", "out"],
        ["dub", "0.1", "2", "1"],
    )


def test_what_can_not_be_built_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "holds no music" in refused(atelier("data", "music", "--from", tmp_path))
    both = atelier("data", "music", "--from", tmp_path, "--style", "jazz")
    assert "--style is for the built styles" in refused(both)
    assert "no style 'rock'; there are classical" in refused(
        atelier("data", "music", "--style", "rock")
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "apt-get install fluidsynth" in refused(atelier("data", "music"))
