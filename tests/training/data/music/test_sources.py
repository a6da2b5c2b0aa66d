"""Where the scores come from: music21's corpus, MMA, and what FluidSynth makes of them."""

import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from models.music.midi import read_midi, write_midi
from models.music.tokenizer import MusicTokens, snapped
from models.score import DRUMS, Note, Score
from tests.training.music import SCALE
from training.data.cache import DataMissing
from training.data.music import grooves, tunes
from training.data.music.build import player
from training.data.music.grooves import (
    ELECTRONIC,
    JAZZ,
    Groove,
    grooved,
    names_of,
    progression,
    sheet,
)
from training.data.music.rendering import FONTS, RATE, TAIL, Synth, centred, find_synth, render
from training.data.music.tunes import UnreadableTune, melody_of, shuffled

plays = pytest.mark.skipif(
    not (shutil.which("fluidsynth") and any(font.exists() for font in FONTS)),
    reason="needs fluidsynth and FluidR3, which play scores",
)
grooves_here = pytest.mark.skipif(not shutil.which("mma"), reason="needs mma, which composes")
GROOVES = [groove for band in (JAZZ, ELECTRONIC) for groove in band.grooves]


@pytest.mark.slow
def test_a_chorale_is_read_as_it_stands_in_the_score() -> None:
    """BWV 269, "Aus meines Herzens Grunde": 3/4, G major, an upbeat, four parts."""
    pytest.importorskip("music21", reason="carries the chorales")
    assert "bwv269" in (names := tunes.chorales())
    assert len(names) == 350
    piece = tunes.chorale("bwv269")
    score = piece.score
    assert (score.meter, score.key) == ((3, 4), "G major")
    assert 66 <= score.tempo <= 96
    quarter = 60 / score.tempo
    first = score.notes[:4]
    assert [n.pitch for n in first] == [43, 59, 62, 67]  # G2 B3 D4 G4 on the third beat
    assert [n.onset / quarter for n in first] == pytest.approx([2] * 4)
    assert {n.velocity for n in score.notes} == {79, 87, 95}
    assert {n.program for n in score.notes} == {tunes.CHURCH_ORGAN}
    tokens = MusicTokens(["classical"])
    assert tokens.decode(tokens.encode(score, "classical"))[0] == snapped(score)
    exact = snapped(score).notes
    assert len(exact) == len(score.notes)
    assert [n.onset for n in exact] == pytest.approx(
        [n.onset * score.tempo / snapped(score).tempo for n in score.notes]
    )


def test_a_fiddle_tune_has_the_meter_and_key_of_its_source() -> None:
    pytest.importorskip("music21", reason="carries Ryan's Mammoth Collection")
    assert len(tunes.fiddle_tunes()) == 1059
    score = tunes.fiddle_tune("AlistairMaclalastairStrathspey").score
    assert (score.meter, score.key) == ((4, 4), "G minor")
    assert {n.program for n in score.notes} == {tunes.FLUTE}


def test_a_piece_that_music21_can_not_read_is_told() -> None:
    pytest.importorskip("music21", reason="reads scores")
    with pytest.raises(UnreadableTune, match="no-such-tune can't be read"):
        tunes.fiddle_tune("no-such-tune")


def test_versions_of_a_tune_are_kin_in_any_key() -> None:
    up = Score(tuple(Note(n.onset, n.end, n.pitch + 5, 80) for n in SCALE.notes))
    harmonised = Score((*SCALE.notes, Note(0, 3, 40)))
    assert melody_of(SCALE) == melody_of(up) == melody_of(harmonised) == "1,1,1,1,1,1,1"
    assert shuffled({"a", "b", "c"}) == shuffled({"c", "a", "b"})


def test_progressions_fill_their_bars_and_come_home() -> None:
    for band in (JAZZ, ELECTRONIC):
        for mode in ("major", "minor"):
            chords = progression(band, mode, 16, random.Random(1))
            assert (len(chords), chords[-1][0]) == (16, 0)
    text = sheet(JAZZ.grooves[0], 120, 3, ((0, "m7"), (9, "7")), 5)
    assert text == "RndSeed 5\nTempo 120\nTime 4\nGroove SwingWalk\n1 Ebm7\n2 C7\n"


def test_pieces_of_mma_have_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataMissing, match="to make jazz and electronic pieces"):
        names_of(JAZZ)
    (tmp_path / "mma").touch(0o755)
    assert names_of(JAZZ)[7] == "jazz-00007"


@pytest.mark.slow
@grooves_here
def test_a_piece_of_mma_is_the_same_each_time_and_in_the_style_s_voices() -> None:
    for band in (JAZZ, ELECTRONIC):
        name = f"{band.style}-00003"
        piece = grooved(band, name)
        assert piece == grooved(band, name)
        assert {n.program for n in piece.score.notes} <= {band.bass, band.chords, DRUMS}
        assert 30 < piece.score.seconds < 60
        tokens = MusicTokens([band.style])
        rough = snapped(piece.score)
        assert tokens.decode(tokens.encode(piece.score, band.style)) == (rough, band.style)
        assert read_midi(write_midi(piece.score)).seconds == pytest.approx(
            piece.score.seconds, abs=1e-3
        )


@grooves_here
def test_a_groove_that_mma_does_not_have_is_told() -> None:
    with pytest.raises(DataMissing, match="mma failed"):
        grooves.played("Groove NoSuchGroove\n1 C\n")


@grooves_here
@pytest.mark.parametrize("groove", GROOVES, ids=lambda groove: groove.name)
def test_mma_has_every_groove_in_the_measure_that_is_asked_for(groove: Groove) -> None:
    text = sheet(groove, 120, 2, ((0, "m7"), (7, "7"), (0, "m"), (0, "")), 1)
    score = read_midi(grooves.played(text), most_together=1000)
    assert (score.tempo, score.meter[0]) == (120, groove.quarters)
    last = max(note.onset for note in score.notes)
    assert 3 < last * 2 / groove.quarters + 0.1 < 4.2  # bars of half a second a quarter


def test_what_mma_makes_that_is_no_score_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mma").write_text("#!/bin/sh\necho what > out.mid\n")
    (tmp_path / "mma").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    record = player(lambda name: grooved(JAZZ, name), Synth("", tmp_path))
    with pytest.raises(UnreadableTune, match="jazz-00003 can't be played: this is no MIDI file"):
        record("jazz-00003")


@plays
@pytest.mark.parametrize("program", [0, 32, 38, 81])
def test_sound_and_notes_agree_to_a_few_milliseconds(program: int) -> None:
    """A scale with rests between its notes, by instruments that speak at once: when each passes a
    tenth of its peak. Bounded on both sides, so neither may lead."""
    notes = tuple(Note(0.1 + 0.6 * i, 0.3 + 0.6 * i, 48 + i, 100, program) for i in range(6))
    sound = render(Score(notes), find_synth())
    assert len(sound) == round((notes[-1].end + TAIL) * RATE)
    for note in notes:
        start = round(note.onset * RATE)
        around = np.abs(sound[start - 320 : start + 3200])
        struck = (int(np.argmax(around > 0.1 * around.max())) - 320) / RATE
        assert 0 <= struck < 0.006


@plays
def test_what_is_played_is_as_high_as_its_notes() -> None:
    notes = tuple(Note(i, i + 0.9, pitch, 100, 81) for i, pitch in enumerate((57, 69, 72)))
    sound = render(Score(notes), find_synth())
    for note, hertz in zip(notes, (220, 440, 523.25), strict=True):
        heard = sound[round((note.onset + 0.2) * RATE) :][: RATE // 2]
        spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard)), 4 * RATE))
        near = spectrum[int(4 * hertz * 0.97) : int(4 * hertz * 1.03)]
        assert near.max() > 0.3 * spectrum.max()


@plays
def test_a_font_that_is_none_is_told(tmp_path: Path) -> None:
    font = tmp_path / "bad.sf2"
    font.write_bytes(b"no font")
    with pytest.raises(DataMissing, match=r"bad\.sf2 is no sound font"):
        find_synth(font)


def test_an_offset_goes_and_notes_stay_where_they_were() -> None:
    times = np.arange(RATE) / RATE
    wave = np.where(times > 0.5, np.sin(2 * np.pi * 110 * times), 0).astype(np.float32)
    clean = centred(wave + np.float32(0.1))
    assert abs(clean.mean()) < 0.005
    away = np.abs(times - 0.5) > 0.1  # from the onset, where a wave that begins has an offset
    assert np.abs(clean - wave)[away & (times > 0.1) & (times < 0.9)].max() < 0.02
