"""Family `wavenet`: what it is told, what it says back, and what it refuses."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from pydantic import ValidationError

from models.artifacts import Audio, NotFinite
from models.audio.wavenet import WaveNet, stepping
from models.checkpoint.header import CheckpointError, Requirement
from models.checkpoint.weights import load, save
from models.engine.batching import BatchedFn, Placement
from models.engine.engine import Advanced, Engine, Failed
from models.engine.flow import run_alone
from models.engine.noise import derived, seeded
from models.families import FAMILIES
from models.music.composer import SLOTS
from models.music.piano_roll import Rolled
from models.params.audio import WaveNetParams
from models.params.music_terms import Key
from models.score import DRUMS, KEYS, Note, Score
from tests.models.families import tiny_checkpoint, tiny_composing

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint(tmp_path_factory.mktemp("wavenet"), "wavenet")


@pytest.fixture(scope="module")
def family(path: Path) -> WaveNet:
    return WaveNet(load(path), Placement(CPU))


def audio_of(
    family: WaveNet, seed: int = 1, roll: torch.Tensor | None = None, **asked: Any
) -> Audio:
    params = WaveNetParams(**{"seconds": 0.1, **asked})
    (audio,) = run_alone(family.perform(params, seeded(seed), roll))
    assert isinstance(audio, Audio)
    return audio


@pytest.mark.parametrize("seconds", [0.00001, 0.0125, 0.1, 0.25])
def test_it_is_as_long_as_asked_and_no_louder_than_its_gain(
    family: WaveNet, seconds: float
) -> None:
    audio = audio_of(family, seconds=seconds)
    assert audio.samples.shape == (1, max(1, round(seconds * 8000)))
    assert audio.rate == 8000
    assert audio.samples.abs().max() <= 0.5


def test_a_longer_one_begins_as_a_shorter_one(family: WaveNet) -> None:
    short, long = audio_of(family, style="jazz"), audio_of(family, style="jazz", seconds=0.3)
    assert torch.equal(long.samples[:, : short.samples.shape[1]], short.samples)


def test_a_style_that_was_drawn_is_told(family: WaveNet) -> None:
    notes = {audio_of(family, seed).notes for seed in range(12)}
    assert notes == {("the style is jazz",), ("the style is folk",)}
    assert audio_of(family, style="folk").notes == audio_of(family, unconditioned=True).notes == ()


def test_a_roll_is_heard_and_where_it_ends_there_is_silence(family: WaveNet) -> None:
    silent = torch.zeros(8, 31)
    note = silent.clone()
    note[4:, 1] = 1.0
    hop, around = family.net.hop, family.net.around
    plays = [audio_of(family, roll=roll, style="jazz").samples[0] for roll in (silent, note)]
    first = int((plays[0] != plays[1]).nonzero()[0])
    assert first >= (4 - around) * hop
    short = audio_of(family, roll=silent[:2], style="jazz").samples[0]
    assert torch.equal(short, plays[0])
    assert not torch.equal(short, audio_of(family, style="jazz").samples[0])


def test_a_score_is_played_as_its_roll_and_for_as_long_as_it_lasts(family: WaveNet) -> None:
    score = Score((Note(0.02, 0.15, 61),))
    for asked, lasting in (({}, 0.15), ({"seconds": 0.05}, 0.05), ({"seconds": 0.2}, 0.2)):
        params = WaveNetParams.model_validate({"style": "folk", "score": "ab" * 32, **asked})
        (audio,) = run_alone(family.generate(params, seeded(1), {"score": score}))
        assert isinstance(audio, Audio)
        assert audio.samples.shape == (1, round(lasting * 8000))
        roll = torch.from_numpy(Rolled(60, 71).roll(score, 80, round(lasting * 80)))
        rng, timed = seeded(1), WaveNetParams(style="folk", seconds=lasting)
        derived(rng)  # for a composer that is not asked
        (same,) = run_alone(family.perform(timed, rng, roll))
        assert isinstance(same, Audio)
        assert torch.equal(audio.samples, same.samples)


def test_a_score_that_can_not_be_played_is_refused(family: WaveNet, path: Path) -> None:
    params = WaveNetParams(score="ab" * 32)
    high, plain = Score((Note(0, 1, 100),)), copy.copy(family)
    plain.rolls = None
    with pytest.raises(ValueError, match="pitch 100; 60 to 71 go"):
        run_alone(family.generate(params, seeded(1), {"score": high}))
    with pytest.raises(ValueError, match="plays no scores"):
        run_alone(plain.generate(params, seeded(1), {"score": high}))


def test_a_style_asked_for_is_the_same_as_one_drawn(family: WaveNet) -> None:
    drawn = audio_of(family, seed=4)
    style = drawn.notes[0].removeprefix("the style is ")
    assert torch.equal(audio_of(family, seed=4, style=style).samples, drawn.samples)


@pytest.fixture(scope="module")
def composing(tmp_path_factory: pytest.TempPathFactory) -> WaveNet:
    return WaveNet(load(tiny_composing(tmp_path_factory.mktemp("both"), "wavenet")), Placement(CPU))


def both(family: WaveNet, seed: int, **asked: Any) -> tuple[Audio, Score]:
    params = WaveNetParams(**{"seconds": 1.0, **asked})
    audio, score = run_alone(family.generate(params, seeded(seed)))
    assert isinstance(audio, Audio)
    assert isinstance(score, Score)
    return audio, score


def test_what_is_made_up_comes_with_its_score_and_is_that_score_played(composing: WaveNet) -> None:
    assert composing.max_items == SLOTS
    audio, score = both(composing, 3, style="folk", tempo=99.5, key="D major")
    assert (score.tempo, score.key, audio.notes) == (99.5, "D major", ())
    assert audio.samples.shape == (1, 8000)
    assert score.seconds <= 1
    assert all(n.pitch in range(60, 72) or n.program == DRUMS for n in score.notes)
    params = WaveNetParams(seconds=1.0, style="folk", score="ab" * 32)
    (played,) = run_alone(composing.generate(params, seeded(3), {"score": score}))
    assert isinstance(played, Audio)
    assert torch.equal(played.samples, audio.samples)


def test_the_style_that_was_made_up_is_told_and_can_be_asked_for(composing: WaveNet) -> None:
    for seed in range(3):
        audio, score = both(composing, seed)
        (note,) = audio.notes
        again, same = both(composing, seed, style=note.removeprefix("the style is "))
        assert same == score
        assert torch.equal(again.samples, audio.samples)


def test_unconditioned_composes_nothing(composing: WaveNet) -> None:
    params = WaveNetParams(seconds=0.1, unconditioned=True)
    assert len(run_alone(composing.generate(params, seeded(1)))) == 1


def test_a_composer_must_fit(tmp_path: Path) -> None:
    checkpoint = load(tiny_composing(tmp_path, "wavenet"))
    for change, match in (
        ({"labels": ["folk", "jazz"]}, "its styles are folk, jazz, and its composer's jazz, folk"),
        ({"process": {"rate": 8000}}, "needs a composer, and can't play an octave"),
    ):
        header = checkpoint.header.model_copy(update=change)
        with pytest.raises(CheckpointError, match=match):
            WaveNet(replace(checkpoint, header=header), Placement(CPU))


def test_unconditioned_hears_no_roll(family: WaveNet) -> None:
    free = audio_of(family, unconditioned=True)
    assert torch.equal(
        free.samples, audio_of(family, roll=torch.ones(8, 31), unconditioned=True).samples
    )


def test_previews_are_the_sound_so_far(family: WaveNet) -> None:
    engine, parts = Engine(CPU), []
    params = WaveNetParams(seconds=0.3)
    engine.add("x", family.generate(params, seeded(3)))
    while len(engine):
        events = [e for e in engine.tick() if isinstance(e, Advanced)]
        parts += [e.preview() for e in events if e.preview]
    (whole,) = run_alone(family.generate(params, seeded(3)))
    assert [p.samples.shape[1] for p in parts] == list(range(200, 2401, 200))
    for preview in parts:
        assert torch.equal(preview.samples, whole.samples[:, : preview.samples.shape[1]])


def test_values_that_are_none_end_it_at_once(family: WaveNet) -> None:
    engine = Engine(CPU)
    engine.add(
        "x", family.perform(WaveNetParams(seconds=60), seeded(1), torch.full((9, 31), torch.nan))
    )
    (event,) = [e for e in engine.tick() if isinstance(e, Failed)]
    assert isinstance(event.error, NotFinite)


@pytest.mark.parametrize("compiler", [True, False])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_none_are_not_played(
    path: Path, monkeypatch: pytest.MonkeyPatch, compiler: bool, value: float
) -> None:
    if not compiler:
        monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    checkpoint = load(path)
    checkpoint.tensors["out.bias"][7] = value
    family = WaveNet(checkpoint, Placement(CPU))
    assert family.advance.pad_to == (None if compiler else 4)
    with pytest.raises(NotFinite):
        audio_of(family, seconds=0.01)


def test_a_roll_of_other_keys_is_refused(family: WaveNet) -> None:
    with pytest.raises(ValueError, match=r"\(frames, 31\), not \(8, 4\)"):
        audio_of(family, roll=torch.zeros(8, 4))


def test_without_a_compiler_the_plain_steps_are_taken(
    path: Path, family: WaveNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    plain = WaveNet(load(path), Placement(CPU))
    assert plain.advance.pad_to == 4
    assert plain.samples < family.samples
    ours, theirs = (audio_of(f, style="jazz", seconds=0.05).samples for f in (family, plain))
    assert torch.equal(ours, theirs)


def test_half_precision_changes_nothing(path: Path, family: WaveNet) -> None:
    other = WaveNet(load(path), Placement(CPU, torch.bfloat16))
    assert torch.equal(audio_of(other).samples, audio_of(family).samples)


@pytest.mark.parametrize(
    ("process", "match"),
    [
        ({}, "rate"),
        ({"rate": "fast"}, "rate.*fast"),
        ({"rate": 8000, "gain": 1.5}, "gain.*1.5"),
        ({"rate": 8000, "gain": 0}, "gain.*not 0"),
        ({"rate": 10}, "rate.*not 10"),
        ({"rate": 8000.5}, "rate.*8000.5"),
        ({"rate": 8000, "pitches": [60]}, "pitches"),
        ({"rate": 8000, "pitches": [60, 59]}, "no pitches from 60 to 59"),
        ({"rate": 8000, "pitches": [60, 63]}, "15 keys, and its net 31"),
    ],
)
def test_a_sound_that_can_not_be_is_refused(
    path: Path, tmp_path: Path, process: dict[str, Any], match: str
) -> None:
    checkpoint = load(path)
    header = checkpoint.header.model_copy(update={"process": process})
    save(tmp_path / "x.safetensors", header, checkpoint.tensors)
    with pytest.raises(CheckpointError, match=match):
        WaveNet(load(tmp_path / "x.safetensors"), Placement(CPU))


def test_labels_must_be_as_many_as_styles(path: Path, tmp_path: Path) -> None:
    checkpoint = load(path)
    header = checkpoint.header.model_copy(update={"labels": ["jazz"]})
    save(tmp_path / "x.safetensors", header, checkpoint.tensors)
    with pytest.raises(CheckpointError, match="1 labels, and its net 2 styles"):
        WaveNet(load(tmp_path / "x.safetensors"), Placement(CPU))


@pytest.mark.parametrize(
    "asked",
    [
        {"seconds": 0},
        {"seconds": -1},
        {"seconds": 60.001},
        {"seconds": 10_000},
        {"temperature": 0},
        {"temperature": 2.5},
        {"top_p": 0},
        {"top_p": 1.1},
        {"style": "jazz", "unconditioned": True},
        {"score": "ab" * 32, "unconditioned": True},
        {"tempo": 100, "unconditioned": True},
        {"score": "ab" * 32, "tempo": 100},
        {"score": "ab" * 32, "key": "C major"},
        {"score": "a song"},
        {"tempo": 300},
        {"key": "H major"},
        {"unconditioned": "yes"},
        {"loudness": 1},
    ],
)
def test_params_out_of_range_are_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        WaveNetParams.model_validate(asked)


def test_what_a_checkpoint_lacks_is_told_by_its_header(path: Path) -> None:
    entry, header = FAMILIES["wavenet"], load(path).header
    assert entry.lacks(header) == {"tempo", "key"}
    need = Requirement(id="x", weights="0" * 64)
    assert entry.lacks(header.model_copy(update={"requires": {"composer": need}})) == set()
    plain = header.model_copy(update={"labels": [], "process": {"rate": 8000}})
    assert entry.lacks(plain) == {"style", "unconditioned", "score", "tempo", "key"}


def test_every_key_can_be_asked_for() -> None:
    assert get_args(Key) == KEYS


def test_a_sound_is_checked_when_it_is_made() -> None:
    with pytest.raises(NotFinite):
        Audio(torch.tensor([[0.0, torch.nan]]), 8000)
    for samples in (torch.zeros(5), torch.zeros(3, 5), torch.zeros(1, 0), torch.tensor([[1.5]])):
        with pytest.raises(ValueError, match="sample"):
            Audio(samples, 8000)


def test_on_a_processor_rows_run_in_any_number(family: WaveNet) -> None:
    _, rows, chunk = stepping(family.weights, CPU)
    assert isinstance(family.advance, BatchedFn)
    assert (rows, family.samples) == (None, round(chunk / family.net.hop) * family.net.hop)
