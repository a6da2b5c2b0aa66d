"""The one contract that every family keeps, on tiny weights and on every shipped checkpoint."""

import dataclasses
import random
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch

from models.artifacts import Artifact, values_of
from models.checkpoint.header import COMPONENTS, CheckpointError, component_path, read_header
from models.checkpoint.weights import load, save
from models.engine.determinism import check_determinism
from models.engine.engine import Engine, Failed, Finished
from models.engine.flow import Family, Flow, gather, resume, run_alone
from models.engine.noise import seeded
from models.families import FAMILIES
from models.params.base import Params
from tests.models.families import (
    ABLE,
    COMPOSING,
    GUIDED,
    NETS,
    PARAMS,
    load_family,
    tiny_checkpoint,
    tiny_composing,
    tiny_guided,
)
from workers.encoders.determinism import FACTS, Specimen, encoding, unrepeatable
from workers.encoders.encode import encode

CPU = torch.device("cpu")
SHIPPED = sorted((Path(__file__).parents[2] / "checkpoints").glob("*.safetensors"))
HELPED = {"guided": (tiny_guided, GUIDED), "composing": (tiny_composing, COMPOSING)}
SUBJECTS = [
    *NETS,
    *(f"{family}, {how}" for how, (_, families) in HELPED.items() for family in families),
    *(pytest.param(path.stem, marks=pytest.mark.slow) for path in SHIPPED),
]

DRAW_NOTHING = {"embedding"}
"""Families whose results are the same whatever the seed."""
JOINS, SHIPPED_JOINS = 20, 8
"""Flows that join at random: with shipped weights, of each of the params one or two."""


@dataclass
class Subject:
    """A checkpoint under test, and what its flows make alone."""

    family: Family[Params]
    params: list[Params]
    path: Path
    joins: int = JOINS
    _alone: dict[int, list[torch.Tensor]] = field(default_factory=dict)

    def flow(self, seed: int) -> Flow:
        return self.family.generate(self.params[seed % len(self.params)], seeded(seed))

    def alone(self, seed: int) -> list[torch.Tensor]:
        """The values of the flow of a seed, run once without neighbours."""
        if seed not in self._alone:
            self._alone[seed] = values(run_alone(self.flow(seed)))
        return self._alone[seed]


@pytest.fixture(scope="module", params=SUBJECTS)
def subject(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Subject:
    name = request.param
    family, _, how = name.partition(", ")
    joins = JOINS if family in NETS else SHIPPED_JOINS
    if family in NETS:
        make = HELPED[how][0] if how else tiny_checkpoint
        path = make(tmp_path_factory.mktemp(how or name), family)
    else:
        path = next(p for p in SHIPPED if p.stem == name)
    family = read_header(path).family
    requests = [*PARAMS[family], *(ABLE.get(family, []) if name in NETS else [])]
    requests = HELPED[how][1][family] if how else requests
    params = [FAMILIES[family].params.model_validate(p) for p in requests]
    loaded = load_family(path)
    assert check_determinism(loaded.batched, CPU).determinism == "bitwise"  # as a worker does it
    assert not unrepeatable(read_header(path))
    return Subject(loaded, params, path, joins)


KINDS = ("picture", "sheet", "frames", "video", "animation", "sound", "score", "text", "vectors")
SPECIMENS = [Specimen(kind, (3, 32, 32), frames=4) for kind in KINDS]  # type: ignore[arg-type]
FILM = Specimen("video")  # large enough for what x264 did with AVX-512
EVERY = [
    (FILM if output_format == "mp4" else specimen, output_format)
    for specimen in SPECIMENS
    for output_format in specimen.formats
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("specimen", "output_format"), EVERY, ids=[f"{s.kind}-{f}" for s, f in EVERY]
)
def test_200_encodings_of_an_artifact_are_one_file(specimen: Specimen, output_format: str) -> None:
    """An encoder that reads what it has not written gives the same file most of the time."""
    artifact, written = specimen.artifact(), set()
    for fill in range(20):
        written.add(tuple(encoding(artifact, output_format, 11 * fill)))
        for _ in range(9):  # in memory as it happens to be
            files = encode(artifact, output_format, FACTS)
            written.add(tuple(file.data for file in files))
    assert len(written) == 1


def test_every_family_is_tested() -> None:
    assert set(NETS) == set(PARAMS) == set(FAMILIES)


@pytest.mark.parametrize("name", ["composer", "language"])
def test_families_with_caches_are_seen_to_have_slots(name: str, tmp_path: Path) -> None:
    family = load_family(tiny_checkpoint(tmp_path, name))
    assert free_slots(family) == family.max_items


def values(artifacts: tuple[Artifact, ...]) -> list[torch.Tensor]:
    return [values_of(artifact).clone() for artifact in artifacts]


def same(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return len(a) == len(b) and all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_the_same_seed_gives_the_same_and_the_next_another(subject: Subject) -> None:
    family, params = subject.family, subject.params
    one, again, other = (
        values(run_alone(family.generate(params[0], seeded(s)))) for s in (5, 5, 6)
    )
    assert same(one, again)
    assert same(one, other) == (read_header(subject.path).family in DRAW_NOTHING)


def test_params_matter(subject: Subject) -> None:
    """At one of some seeds: a param that chooses among draws may choose the first of them."""
    family, params = subject.family, subject.params

    @lru_cache
    def result(index: int, seed: int) -> list[torch.Tensor]:
        return values(run_alone(family.generate(params[index], seeded(seed))))

    for index in range(1, len(params)):
        assert any(not same(result(0, seed), result(index, seed)) for seed in range(1, 5))


def test_alone_equals_batched_with_random_joins(subject: Subject) -> None:
    family = subject.family
    expected = {seed: subject.alone(seed) for seed in range(subject.joins)}
    chance, engine = random.Random(3), Engine(CPU)
    todo, results = list(expected), {}
    chance.shuffle(todo)
    while todo or len(engine):
        for _ in range(chance.randrange(5)):
            if todo and len(engine) < family.max_items:
                seed = todo.pop()
                engine.add(seed, subject.flow(seed))
        for event in engine.tick():
            assert not isinstance(event, Failed)
            if isinstance(event, Finished):
                results[event.id] = values(event.artifacts)
    assert all(same(results[seed], expected[seed]) for seed in expected)


def test_progress_rises_and_previews_are_artifacts(subject: Subject) -> None:
    from models.engine.engine import Advanced

    engine = Engine(CPU)
    engine.add("x", subject.flow(1))
    last = 0.0
    while len(engine):
        for event in engine.tick():
            if isinstance(event, Advanced):
                done, of = event.progress
                assert last <= done / of <= 1
                last = done / of
                assert event.preview is None or isinstance(event.preview(), Artifact)


def free_slots(family: Any) -> int:
    """Slots that can be taken, of a family's own caches and of a composer's that it uses."""
    owners = (family, vars(family).get("composer"))
    return sum(vars(owner)["slots"].free for owner in owners if owner and "slots" in vars(owner))


def steps_of(subject: Subject) -> int:
    """How many ticks the flow takes alone."""
    engine, count = Engine(CPU), 0
    engine.add("x", subject.flow(2))
    while len(engine):
        engine.tick()
        count += 1
    return count


def test_closing_at_every_step_leaves_the_rest_as_it_was_and_leaks_no_slot(
    subject: Subject,
) -> None:
    expected, free = subject.alone(2), free_slots(subject.family)
    for ticks in range(steps_of(subject)):
        engine = Engine(CPU)
        engine.add("closed", subject.flow(1))
        engine.add("kept", subject.flow(2))
        for _ in range(ticks):
            engine.tick()
        engine.cancel("closed")
        events = []
        while len(engine):
            events += engine.tick()
        (end,) = [e for e in events if isinstance(e, Finished)]
        assert end.id == "kept"
        assert same(values(end.artifacts), expected)
        assert free_slots(subject.family) == free


async def poisoned(inner: Flow) -> tuple[Artifact, ...]:
    """A story whose first row of numbers is not a number."""
    steps = resume(inner, None)
    while not any(t.is_floating_point() for s in steps for t in s.row):
        steps = resume(inner, await gather(*steps))
    bad = [
        dataclasses.replace(
            s,
            row=tuple(torch.full_like(t, torch.nan) if t.is_floating_point() else t for t in s.row),
        )
        for s in steps
    ]
    results = await gather(*bad)
    try:
        while True:
            results = await gather(*resume(inner, results))
    except StopIteration as end:
        return tuple(end.value)


def test_a_bad_row_fails_alone_and_leaks_no_slot(subject: Subject) -> None:
    engine, free = Engine(CPU), free_slots(subject.family)
    engine.add("bad", poisoned(subject.flow(1)))
    expected = {}
    for seed in range(2, 8):
        engine.add(seed, subject.flow(seed))
        expected[seed] = subject.alone(seed)
    ends: dict[Any, Any] = {}
    while len(engine):
        ends |= {e.id: e for e in engine.tick() if isinstance(e, Finished | Failed)}
    assert isinstance(ends.pop("bad"), Failed)
    assert free_slots(subject.family) == free
    assert all(same(values(ends[seed].artifacts), expected[seed]) for seed in expected)


def test_a_checkpoint_comes_back_as_it_went(subject: Subject, tmp_path: Path) -> None:
    path = subject.path
    checkpoint = load(path)
    save(tmp_path / path.name, checkpoint.header, checkpoint.tensors)
    assert (tmp_path / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("fault", ["missing", "extra", "shape", "net", "config"])
def test_a_checkpoint_that_does_not_fit_is_refused(
    subject: Subject, tmp_path: Path, fault: str
) -> None:
    path = subject.path
    checkpoint = load(path)
    tensors, header = dict(checkpoint.tensors), checkpoint.header
    name = next(n for n, t in sorted(tensors.items()) if t.ndim > 1)
    if fault == "missing":
        del tensors[name]
    elif fault == "extra":
        tensors["surplus"] = torch.zeros(1)
    elif fault == "shape":
        tensors[name] = tensors[name][..., :-1].contiguous()
    elif fault == "net":
        header = header.model_copy(update={"net": {**header.net, "layers": 3}})
    else:
        header = header.model_copy(update={"net": {**header.net, "size": -1}})
    (tmp_path / COMPONENTS).mkdir()
    for component in (component_path(path, need.id) for need in header.requires.values()):
        (tmp_path / COMPONENTS / component.name).symlink_to(component)
    broken = tmp_path / "broken.safetensors"
    save(broken, header, tensors)
    with pytest.raises(CheckpointError, match=name if fault in ("missing", "shape") else None):
        load_family(broken)
