"""The learner of composers at tiny size, and what it takes from a piece."""

from typing import Any

import pytest
import torch

from models.checkpoint.header import Header
from models.engine.noise import seeded
from models.music.composition import facts_of
from models.music.tokenizer import MusicTokens
from models.nets.composer import ComposerModel as Net
from models.score import KEYS, Note, Score
from tests.training.learners.test_latent_diffusion import goes_on_exactly, run
from training.data.music.score_columns import cropped, transposed
from training.learners.composer import (
    ComposerObjective,
    ComposerSettings,
    drawn,
    facts_at,
    measure_composer,
)
from training.learners.standard import StandardLearner
from training.recipe import Data

CPU = torch.device("cpu")
WORDS = MusicTokens(["up", "down"])
NET: dict[str, Any] = {
    "vocabulary": WORDS.size,
    "facts": facts_of(WORDS),
    "layers": 2,
    "width": 32,
    "heads": 2,
    "groups": 1,
    "inner": 48,
    "window": 64,
}
CARD = Header(family="composer", net=NET, labels=list(WORDS.styles))
PREFIX = 4


def scale(style: str, bars: int = 3, key: str | None = "C major") -> torch.Tensor:
    """Four quarters a bar, upwards or downwards."""
    sign = 1 if style == "up" else -1
    notes = (Note(i / 2, i / 2 + 0.5, 60 + sign * (i % 12), 79) for i in range(4 * bars))
    return torch.tensor(WORDS.encode(Score(tuple(notes), key=key), style))


def rows(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    pieces = [scale(WORDS.styles[i % 2], 2 + i % 3) for i in range(count)]
    filled = torch.nn.utils.rnn.pad_sequence(pieces, batch_first=True)
    return filled.short(), torch.arange(count) % 2


def learner(**changed: float) -> StandardLearner[Any]:
    settings: dict[str, Any] = {"steps": 60, "warmup": 5, "crop": 40, "rate": 1e-2, **changed}
    return StandardLearner(ComposerObjective(CARD, ComposerSettings(**settings), CPU))


def test_it_learns_and_goes_on_exactly() -> None:
    goes_on_exactly(learner, rows(6))
    losses = run(learner(), rows(6), 0, 60)
    assert losses[0] == pytest.approx(torch.tensor(WORDS.size).log2().item(), abs=0.3)
    assert losses[-1] < 3.5


def test_bits_of_a_net_that_says_nothing_are_those_of_chance() -> None:
    net = drawn(Net(**NET), seeded(0))
    torch.nn.init.zeros_(net.norm.weight)
    figures = measure_composer(CARD, net.state_dict(), Data(rows(4), rows(4)))
    chance = pytest.approx(torch.tensor(float(WORDS.size)).log2().item(), abs=1e-3)
    floors = {figures.pop("test_bits_unigram"), figures.pop("test_bits_bigram")}
    assert figures == dict.fromkeys(
        ("test_bits", "test_bits_uniform", "test_bits_up", "test_bits_down"), chance
    )
    assert max(floors) < 7


def test_its_sheet_has_a_roll_a_row() -> None:
    trained = learner(shown=1.0)
    run(trained, rows(6), 0, 40)
    sheet = trained.sample(3, seeded(0))
    assert sheet.shape == (3, 1, 64, 64)
    assert torch.equal(sheet, trained.sample(3, seeded(0)))
    assert 0 == sheet.min() < sheet.max() <= 1


def test_a_fact_is_known_from_its_token_on() -> None:
    tokens = scale("down")[None]
    facts = facts_at(WORDS, tokens)
    assert facts[0, :5].tolist() == [
        [2, 0, 0, 0],
        [2, 1, 0, 0],
        [2, 1, 21, 0],
        [2, 1, 21, 1],
        [2, 1, 21, 1],
    ]
    assert (facts.amax((0, 1)) < torch.tensor(facts_of(WORDS))).all()


def test_a_piece_is_moved_into_every_key_with_its_key() -> None:
    tokens = scale("up").repeat(400, 1)
    moved = transposed(WORDS, tokens, seeded(1))
    counts = {}
    for row in moved:
        score, style = WORDS.decode(row.tolist())
        by = score.notes[0].pitch - 60
        assert style == "up"
        assert score.key == KEYS[by % 12]
        assert [n.pitch - by for n in score.notes] == [60 + i % 12 for i in range(12)]
        counts[by] = counts.get(by, 0) + 1
    assert sorted(counts) == list(range(-5, 7))
    assert min(counts.values()) > 15


def test_what_would_leave_the_bounds_is_moved_less_and_an_unknown_key_stays() -> None:
    high = Score((Note(0, 1, 107, 79), Note(1, 2, 29, 79)))
    tokens = torch.tensor(WORDS.encode(high, "up")).repeat(50, 1)
    for row in transposed(WORDS, tokens, seeded(1)):
        score, _ = WORDS.decode(row.tolist())
        assert score.notes[0].pitch - 107 == score.notes[1].pitch - 29 in (-1, 0, 1)
        assert score.key is None


def test_a_crop_is_the_prefix_and_what_follows_from_a_bar_on() -> None:
    whole = scale("up", 6)
    bar = WORDS.token("bar", 0)
    bars = (whole == bar).nonzero().flatten().tolist()
    tokens = torch.nn.functional.pad(whole, (0, 7)).repeat(200, 1)
    size = PREFIX + len(whole) - bars[2]
    firsts = set()
    for row in cropped(WORDS, tokens, size, seeded(1)):
        assert torch.equal(row[:PREFIX], whole[:PREFIX])
        (first,) = [b for b in bars if torch.equal(whole[b : b + size - PREFIX], row[PREFIX:])]
        firsts.add(bars.index(first))
    assert firsts == {0, 1, 2}


def test_a_piece_that_has_room_is_taken_whole() -> None:
    whole = scale("up", 2)
    tokens = torch.nn.functional.pad(whole, (0, 9)).repeat(20, 1)
    for row in cropped(WORDS, tokens, len(whole) + 5, seeded(1)):
        assert torch.equal(row[: len(whole)], whole)
        assert not row[len(whole) :].any()


def test_some_pieces_do_not_tell_their_key() -> None:
    objective: Any = learner(key_dropout=0.25).objective
    dropped = objective.without_some_keys(scale("up").repeat(4000, 1), seeded(1))
    unknown = (dropped[:, 1] == WORDS.token("key", 0)).float().mean()
    assert unknown == pytest.approx(0.25, abs=0.03)
