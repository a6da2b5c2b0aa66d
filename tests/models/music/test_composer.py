"""Family `composer`: what it is asked and told, its slots, and that a cache changes nothing."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from models.artifacts import NotFinite
from models.checkpoint.header import CheckpointError
from models.checkpoint.weights import Checkpoint, load, save
from models.engine.batching import Placement
from models.engine.determinism import check_determinism
from models.engine.engine import Advanced, Engine
from models.engine.flow import run_alone
from models.engine.noise import seeded
from models.music.composer import SLOTS, Composer
from models.music.composition import Composition
from models.params.audio import ComposerParams
from models.score import Note, Score, ScoreError
from tests.models.families import tiny_checkpoint
from training.learners.composer import facts_at

CPU = torch.device("cpu")
PRIMER = Score((Note(0, 0.5, 60, 79), Note(0.5, 1, 64, 79)), 110.5, key="A minor")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint(tmp_path_factory.mktemp("composer"), "composer")


@pytest.fixture(scope="module", params=["kernel", "plain"])
def family(request: pytest.FixtureRequest, path: Path) -> Composer:
    return built(load(path), request.param)


def built(checkpoint: Checkpoint, way: str) -> Composer:
    with pytest.MonkeyPatch.context() as patch:
        if way == "plain":  # numba is not installed
            patch.setattr("importlib.util.find_spec", lambda _: None)
        return Composer(checkpoint, Placement(CPU))


def score_of(family: Composer, seed: int = 1, primer: Score | None = None, **asked: Any) -> Score:
    params = ComposerParams(**{"seconds": 3.0, **asked})
    inputs = {} if primer is None else {"primer": primer}
    (score,) = run_alone(family.generate(params, seeded(seed), inputs))
    assert isinstance(score, Score)
    assert family.slots.free == SLOTS
    return score


@pytest.mark.slow
def test_it_is_as_asked(family: Composer) -> None:
    for seed in range(5):
        score = score_of(family, seed, key="Eb minor", tempo=77.7)
        assert (score.key, score.tempo) == ("Eb minor", 77.7)
        assert score.seconds <= 3.0
        assert score_of(family, seed).key is not None


@pytest.mark.slow
def test_asking_for_what_was_drawn_gives_the_same(family: Composer) -> None:
    drawn = score_of(family, 3)
    same = [
        score_of(family, 3, key=drawn.key, tempo=drawn.tempo, style=s) for s in ("jazz", "folk")
    ]
    assert drawn in same


def test_a_primer_is_gone_on_from_at_its_own_tempo(family: Composer) -> None:
    score = score_of(family, primer=PRIMER)
    assert (score.tempo, score.key, score.meter) == (110.5, "A minor", (4, 4))
    for had, has in zip(PRIMER.notes, score.notes, strict=False):
        assert (had.pitch, had.velocity, had.program) == (has.pitch, has.velocity, has.program)
        assert has.onset == pytest.approx(had.onset, abs=60 / 110.5 / 12)
    assert len(score.notes) > 2
    with pytest.raises(ScoreError, match="the primer lasts 1 seconds"):
        score_of(family, primer=PRIMER, seconds=0.5)
    assert family.slots.free == SLOTS


@pytest.mark.slow
def test_what_is_drawn_through_the_cache_is_what_the_whole_gives(
    family: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The likeliest token each time, far beyond the window."""
    seen: list[tuple[list[int], torch.Tensor]] = []
    row = family._row

    def noting(piece: Composition, slot: int) -> tuple[torch.Tensor, ...]:
        seen.append((list(piece.tokens), piece.may_follow()))
        return row(piece, slot)

    monkeypatch.setattr(family, "_row", noting)
    score_of(family, 2, seconds=20, top_p=1e-6)
    tokens = torch.tensor(seen[-1][0])[None]
    assert tokens.shape[1] > 3 * family.net.window
    logits = family.net(tokens, facts_at(family.tokenizer, tokens))[0]
    for before, allowed in seen[:-1]:
        masked = logits[len(before) - 1].masked_fill(~allowed, -torch.inf)
        assert masked[tokens[0, len(before)]] >= masked.max() - 1e-4


def test_without_a_compiler_the_plain_steps_are_taken(path: Path) -> None:
    kernel, plain = (built(load(path), way) for way in ("kernel", "plain"))
    assert (plain.next.pad_to, kernel.next.pad_to) == (4, None)
    assert check_determinism(plain.batched, CPU).determinism == "bitwise"
    for seed in range(3):
        assert begun(score_of(plain, seed)) == begun(score_of(kernel, seed))


@pytest.mark.parametrize("way", ["kernel", "plain"])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_none_compose_nothing(path: Path, way: str, value: float) -> None:
    checkpoint = load(path)
    checkpoint.tensors["norm.weight"][7] = value
    with pytest.raises(NotFinite):
        score_of(built(checkpoint, way))


def test_previews_are_the_piece_so_far(family: Composer) -> None:
    engine, parts = Engine(CPU), list[Score]()
    engine.add("x", family.generate(ComposerParams(seconds=3), seeded(3)))
    while len(engine):
        events = [e for e in engine.tick() if isinstance(e, Advanced)]
        previews = [e.preview() for e in events if e.preview]
        parts += [p for p in previews if isinstance(p, Score)]
    whole = score_of(family, 3)
    assert len(parts[-1].notes) > 3
    for preview in parts:
        assert begun(preview) <= begun(whole)


def begun(score: Score) -> set[tuple[float, int, int]]:
    """Its notes, but for how long they are: a key struck again ends the note before."""
    return {(n.onset, n.pitch, n.program) for n in score.notes}


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"labels": []}, "no labels"),
        ({"labels": ["jazz"]}, "its labels make 530 tokens, and its net 531"),
        ({"net": {"facts": [3, 25, 51, 12]}}, r"tensor told\.2\.weight|is told"),
    ],
)
def test_a_checkpoint_that_can_not_compose_is_refused(
    path: Path, tmp_path: Path, change: dict[str, Any], match: str
) -> None:
    checkpoint = load(path)
    net = {**checkpoint.header.net, **change.get("net", {})}
    header = checkpoint.header.model_copy(update={**change, "net": net})
    save(tmp_path / "x.safetensors", header, checkpoint.tensors)
    with pytest.raises(CheckpointError, match=match):
        Composer(load(tmp_path / "x.safetensors"), Placement(CPU))


@pytest.mark.parametrize(
    "asked",
    [
        {"seconds": 0},
        {"seconds": 61},
        {"temperature": 0},
        {"top_p": 0},
        {"key": "H major"},
        {"tempo": 20},
        {"primer": "a song"},
        {"primer": "ab" * 32, "key": "C major"},
        {"primer": "ab" * 32, "tempo": 100},
        {"unconditioned": True},
    ],
)
def test_params_out_of_range_are_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ComposerParams.model_validate(asked)
