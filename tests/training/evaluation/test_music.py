"""Music measured: players and composers in small, beside what is real."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.audio import mulaw
from models.checkpoint.header import Header, read_header
from models.checkpoint.weights import load, save
from models.music.composition import facts_of
from models.music.piano_roll import Rolled
from models.music.tokenizer import MusicTokens
from models.nets.composer import ComposerModel
from models.nets.wavenet import WaveNetModel
from models.score import Note, Score
from tests.models.families import COMPOSER, WAVENET, tiny_checkpoint
from training.data.music import token_columns
from training.data.music.audio_columns import StyleAudio, keep
from training.data.music.build import EDITION, STYLES
from training.data.music.rendering import RATE
from training.evaluation import audio_player
from training.evaluation.composer import in_key
from training.evaluation.evaluate import evaluate
from training.evaluation.evaluator import EvalOptions, EvaluationRefused, FeatureNets
from training.evaluation.figure_file import EVALUATED
from training.evaluation.report import music_sheet
from training.evaluation.report.report import write_report
from training.metrics.image.features import Described
from training.metrics.music.roll_images import roll_pictures

CPU = torch.device("cpu")
SECONDS = 0.5
WORDS = MusicTokens(tuple(STYLES))
ROLLED = Rolled(60, 71)
NO_NETS = FeatureNets(lambda pictures: Described(pictures.float(), pictures.float()))  # type: ignore[arg-type]


def scale(number: int, count: int = 8) -> Score:
    """Ten notes a second, another beginning for each number."""
    notes = (Note(i * 0.1, i * 0.1 + 0.09, 60 + (i + number) % 12, 79) for i in range(count))
    return Score(tuple(notes), 120, key="C major")


def sung(score: Score, seconds: float, style: int) -> torch.Tensor:
    sound = torch.zeros(round(seconds * RATE))
    for note in score.notes:
        t = torch.arange(round((note.end - note.onset) * RATE)) / RATE
        first = round(note.onset * RATE)
        hertz = 440 * 2 ** ((note.pitch - 69) / 12) * (1 + style)
        sound[first : first + len(t)] = 0.3 * torch.sin(2 * torch.pi * hertz * t)
    return sound


def heard(style: int) -> StyleAudio:
    """Four pieces of a second, of which two are held out."""
    scores = [scale(number) for number in range(4)]
    sound = torch.cat([sung(score, 1.0, style) for score in scores])
    notes = [note for score in scores for note in score.notes]
    return StyleAudio(
        mulaw.encode(sound).byte().numpy(),
        np.arange(5) * RATE,
        np.array([(n.onset, n.end) for n in notes]),
        np.array([(n.pitch, n.velocity, n.program) for n in notes], "u1"),
        np.arange(5) * 8,
        np.array([False, False, True, True]),
    )


@pytest.fixture(autouse=True)
def _corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_CACHE", str(tmp_path / "cache"))
    for module in (audio_player, music_sheet):
        monkeypatch.setattr(module, "SECONDS", SECONDS)
    monkeypatch.setattr(audio_player, "CLIP", round(SECONDS * RATE))
    for number, style in enumerate(STYLES):
        keep(tmp_path / "cache" / "heard" / f"{style}-{EDITION}-60.npz", heard(number))
    known = {style: some_pieces(style) for style in STYLES}
    monkeypatch.setattr("training.evaluation.composer.pieces_of", lambda style: known[style])


def some_pieces(style: str) -> token_columns.TokenColumns:
    tokens = [WORDS.encode(scale(number, 40), style) for number in range(4)]
    starts = np.cumsum([0, *map(len, tokens)])
    flat = np.array([t for one in tokens for t in one], np.uint16)
    return token_columns.TokenColumns(flat, starts, np.array([False, False, True, True]))


@pytest.fixture
def player(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    config = {**WAVENET, "styles": len(STYLES), "pitches": ROLLED.channels, "hop": 160}
    process = {"rate": RATE, "pitches": [ROLLED.lowest, ROLLED.highest]}
    facts: dict[str, Any] = {"family": "wavenet", "net": config, "process": process}
    path = tmp_path / "checkpoints" / "player.safetensors"
    card = Header(**facts, labels=list(STYLES))
    save(path, card, WaveNetModel(**config).state_dict())  # type: ignore[arg-type]
    return path


@pytest.fixture
def composer(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    config: dict[str, Any] = {**COMPOSER, "vocabulary": WORDS.size, "facts": facts_of(WORDS)}
    path = tmp_path / "checkpoints" / "composer.safetensors"
    card = Header(family="composer", net=config, labels=list(STYLES), defaults={"seconds": 1.0})
    save(path, card, ComposerModel(**config).state_dict())
    return path


def test_a_player_is_measured_beside_recordings_and_noise(player: Path) -> None:
    record: Any = evaluate(player, EvalOptions(n=8, seeds=2), NO_NETS, CPU)
    assert read_header(player).quality[EVALUATED] == [record]
    assert (record["n"], record["seeds"], record["held_out"]) == (8, 2, 16)
    real, noise = record["real"], record["noise"]
    assert real["pitches_right"]["mean"] > 0.7 > noise["pitches_right"]["mean"]
    assert real["style_right"]["mean"] == 1
    assert record["style_right"]["mean"] < 1
    assert real["clipped"]["mean"] == 0
    assert real["pitches_right"]["ci95"] is None
    assert record["pitches_right"].keys() == {"mean", "ci95"}


def test_a_composer_is_measured_beside_held_out_pieces(composer: Path) -> None:
    record: Any = evaluate(composer, EvalOptions(n=4, seeds=2), NO_NETS, CPU)
    assert read_header(composer).quality[EVALUATED] == [record]
    assert (record["n"], record["held_out"]) == (4, 8)
    assert record["real"]["copied"]["mean"] > 9 > record["copied"]["mean"]
    assert record["real"]["notes_a_second"]["mean"] == pytest.approx(10, abs=1)
    again: Any = evaluate(composer, EvalOptions(n=4, seeds=2), NO_NETS, CPU)
    assert again == record


def test_the_share_of_notes_in_the_scale() -> None:
    notes = tuple(Note(i, i + 1, 60 + i) for i in range(12))
    assert in_key(Score(notes, key="C major")) == pytest.approx(7 / 12)
    assert in_key(Score(notes, key="C minor")) == pytest.approx(8 / 12)
    assert in_key(Score(notes)) is None
    assert in_key(Score((), key="C major")) is None


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (EvalOptions(n=17), "17 clips can't be played: 16 are held out"),
        (EvalOptions(seeds=11), "1 to 10 seeds"),
        (EvalOptions(params={"style": "jazz"}), "style is that of each score"),
        (EvalOptions(params={"unconditioned": True}), "not unconditioned"),
        (EvalOptions(params={"temperature": 9}), "temperature"),
        (EvalOptions(reference="fashion"), "held-out scores of its own corpus"),
    ],
)
def test_what_can_not_be_asked_of_a_player_is_refused(
    player: Path, order: EvalOptions, message: str
) -> None:
    before = player.read_bytes()
    with pytest.raises(EvaluationRefused, match=message):
        evaluate(player, order, NO_NETS, CPU)
    assert player.read_bytes() == before


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (EvalOptions(n=9), "9 pieces can't be compared"),
        (EvalOptions(seeds=11), "1 to 10 seeds"),
        (EvalOptions(params={"style": "jazz"}), "in every style"),
        (EvalOptions(params={"primer": "ab" * 32}), "from the beginning"),
        (EvalOptions(params={"seconds": 0}), "seconds"),
    ],
)
def test_what_can_not_be_asked_of_a_composer_is_refused(
    composer: Path, order: EvalOptions, message: str
) -> None:
    with pytest.raises(EvaluationRefused, match=message):
        evaluate(composer, order, NO_NETS, CPU)


@pytest.mark.parametrize("family", ["wavenet", "composer"])
def test_another_corpus_s_styles_are_refused(tmp_path: Path, family: str) -> None:
    with pytest.raises(EvaluationRefused, match=r"styles are not those|rate of the corpus"):
        evaluate(tiny_checkpoint(tmp_path, family), EvalOptions(n=1), NO_NETS, CPU)


@pytest.mark.slow
def test_the_page_shows_music_beside_what_is_real(
    player: Path, composer: Path, tmp_path: Path
) -> None:
    for path in (player, composer):
        evaluate(path, EvalOptions(n=4, seeds=2), NO_NETS, CPU)
    checkpoint = load(player)
    bits = {"test_bits": 1.5, "test_bits_linear": 3.5}
    header = checkpoint.header.model_copy(update={"quality": checkpoint.header.quality | bits})
    save(player, header, checkpoint.tensors)
    text = write_report(player.parent, tmp_path / "docs").read_text()
    assert "4 clips for each of 2 seeds, against 16 held-out ones; seen by spectra." in text
    assert "| *the recordings* |" in text
    assert "4 pieces for each of 2 seeds, against 8 held-out ones; seen by notes." in text
    assert "| checkpoint | bits | linear predictor |" in text
    for name in ("player", "composer"):
        assert f"![Music of {name}](quality/{name}.png)" in text
        assert (tmp_path / "docs" / "quality" / f"{name}.png").stat().st_size > 2000


def test_a_roll_is_a_picture_with_percussion_below() -> None:
    notes = (Note(0, 1, 36, 127), Note(0.5, 1, 92, 127), Note(0, 0.1, 36, 127, 128))
    (picture,) = roll_pictures([Score(notes)], 1.0)[0]
    assert picture[56, :32].tolist() == [1] + [0.5] * 31
    assert picture[0, 32:].tolist() == [1] + [0.5] * 31
    assert picture[63].nonzero().flatten().tolist() == [0]
    assert picture.sum() == 32.5 + 16.5 + 1
