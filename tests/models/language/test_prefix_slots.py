"""Slots that remember: which one a prompt gets, and that reuse changes no bit of any text."""

import random
from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

import pytest
import torch
from torch import Tensor

from models.artifacts import Artifact, NotFinite, Text
from models.checkpoint.weights import load
from models.engine.batching import Placement, SeamError
from models.engine.determinism import check_determinism
from models.engine.engine import Advanced, Engine, Failed, Finished
from models.engine.flow import run_alone
from models.engine.noise import seeded
from models.kernels.simd import LANES
from models.language.backends import selection
from models.language.backends.llama import LlamaNet
from models.language.language import Language
from models.language.prefix_slots import PrefixSlots
from models.params.text import LanguageParams
from tests.models.families import tiny_checkpoint
from tests.models.tiny_language import PARAMS

CPU = torch.device("cpu")


class Notes:
    """A cache that holds each token as itself, and can reuse every place."""

    def __init__(self, slots: int) -> None:
        self.rows: list[list[int]] = [[] for _ in range(slots + 1)]

    def reusable(self, shared: int, prefilled: int) -> int:
        return shared

    def reuse(self, source: int, slot: int, count: int) -> None:
        self.rows[slot] = self.rows[source][:count]


def slots_of(*texts: Sequence[int], free: int = 0) -> PrefixSlots:
    """Slots left with these texts, the first one longest ago, and some that were never taken."""
    cache = Notes(len(texts) + free)
    slots = PrefixSlots(cache, len(texts) + free)
    for text in texts:
        fill(slots, cache, text)
    return slots


def fill(slots: PrefixSlots, cache: Notes, text: Sequence[int], owner: str = "") -> int:
    with slots.take((), owner) as slot:
        slot.extend(text, chunk=4)
        cache.rows[slot.number] = list(text)
    return slot.number


def test_a_prompt_gets_what_it_goes_on_from() -> None:
    slots = slots_of([1, 2, 3, 4], [1, 2, 9, 9], free=1)
    with slots.take([1, 2, 3, 4, 5, 6]) as slot:
        assert (slot.number, slot.tokens) == (1, [1, 2, 3, 4])


def test_the_last_token_of_a_prompt_is_never_reused() -> None:
    slots = slots_of([1, 2, 3, 4])
    with slots.take([1, 2, 3]) as slot:
        assert slot.tokens == [1, 2]
    with slots.take([1]) as slot:
        assert slot.tokens == []


def test_a_short_beginning_is_copied_and_the_long_text_stays() -> None:
    slots = slots_of([1, 2, 3, 4, 5], [7, 7, 7, 7, 7], [8, 8, 8])
    with slots.take([1, 2, 9]) as slot:
        assert (slot.number, slot.tokens) == (2, [1, 2])  # the least recently used of the others
    with slots.take([1, 2, 3, 4, 5, 6]) as slot:
        assert (slot.number, slot.tokens) == (1, [1, 2, 3, 4, 5])


def test_a_text_in_use_is_copied() -> None:
    slots = slots_of(free=2)
    with slots.take([1, 2, 3]) as one:
        one.extend([1, 2], chunk=4)
        with slots.take([1, 2, 4]) as two:
            assert (two.number, two.tokens) == (2, [1, 2])
            two.truncate(1)
            assert one.tokens == [1, 2]


def test_what_was_used_least_recently_is_given_up_first() -> None:
    slots = slots_of([1, 1], [2, 2], free=1)
    with slots.take([3, 3]) as never_taken, slots.take([4, 4]) as oldest:
        assert (never_taken.number, oldest.number) == (3, 1)
    with slots.take([2, 2, 2]) as slot:
        assert slot.tokens == [2, 2]


def test_no_owner_gets_what_another_has_left() -> None:
    cache = Notes(2)
    slots = PrefixSlots(cache, 2)
    fill(slots, cache, [1, 2, 3], owner="ann")
    with slots.take([1, 2, 3, 4], "bob") as slot:
        assert slot.tokens == []
    with slots.take([1, 2, 3, 4], "ann") as slot:
        assert slot.tokens == [1, 2, 3]


def fail(slots: PrefixSlots, error: BaseException) -> None:
    with slots.take([1, 2, 3, 4]) as slot:
        assert slot.tokens == [1, 2, 3]
        raise error


def test_a_failure_leaves_nothing_and_a_cancel_what_was_read() -> None:
    slots = slots_of([1, 2, 3])
    with pytest.raises(GeneratorExit):
        fail(slots, GeneratorExit())
    with pytest.raises(NotFinite):
        fail(slots, NotFinite())
    with slots.take([1, 2, 3, 4, 5]) as slot:
        assert slot.tokens == []
        with pytest.raises(SeamError, match="more flows than slots"), slots.take():
            pass
    assert slots.free == 1


def test_only_whole_chunks_from_the_beginning_count_as_prefilled() -> None:
    slots = slots_of(free=1)
    with slots.take() as slot:
        slot.extend([1] * 4, chunk=4)
        assert slot.prefilled == 4
        slot.extend([2] * 3, chunk=4)
        slot.extend([3] * 4, chunk=4)
        assert slot.prefilled == 4
        slot.truncate(2)
        slot.extend([4] * 4, chunk=4)
        slot.extend([5] * 4, chunk=4)
        assert slot.prefilled == 2


@pytest.fixture(scope="module", params=["kernel", "transformers"])
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Language:
    path = tiny_checkpoint(tmp_path_factory.mktemp("slots"), "language")
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "transformers":
            patch.setattr(selection, "find_spec", lambda name: None)
        loaded = Language(load(path), Placement(CPU))
    assert check_determinism(loaded.batched, CPU).determinism == "bitwise"  # as a worker does it
    return loaded


def is_fast(family: Language) -> bool:
    """Whether the kernel runs it: transformers takes a hundred times as long for a step."""
    return isinstance(family.runtime.net, LlamaNet)


def completion(text: str, owner: str = "", **params: Any) -> LanguageParams:
    fields = {"kind": "completion", "text": text, "max_tokens": 5, "logprobs": 2, **params}
    return LanguageParams.model_validate(fields).owned_by(owner)


def written(family: Language, params: LanguageParams, forget: bool = False) -> tuple[Any, ...]:
    """All of a text, log-probabilities included; `forget` reads all of its prompt."""
    if forget:
        family.slots.forget()
    return values(run_alone(family.generate(params, seeded(3))))


def values(artifacts: Sequence[Artifact]) -> tuple[Any, ...]:
    (text,) = artifacts
    assert isinstance(text, Text)
    return astuple(text)


def steps_of(family: Language, params: LanguageParams) -> tuple[int, tuple[int, int]]:
    """How many steps a request takes, and its last progress."""
    engine, steps, progress = Engine(CPU), 0, (0, 1)
    engine.add("x", family.generate(params, seeded(3)))
    while len(engine):
        for event in engine.tick():
            if isinstance(event, Advanced):
                steps, progress = steps + 1, event.progress
    return steps, progress


def cached(family: Language, count: int, slot: int = 1) -> list[Tensor]:
    """Keys and values of the first places of a slot."""
    net = family.runtime.net
    if not isinstance(net, LlamaNet):
        return [cache[slot, :, :count].clone() for cache in net.caches]
    (keys, values), width = (cache[slot] for cache in net.caches), 16
    head = keys.shape[:2]
    by_block = keys.view(*head, -1, width, LANES).transpose(-1, -2).flatten(2, 3)
    by_place = values.view(*head, width // LANES, -1, LANES)
    return [by_block[:, :, :count].clone(), by_place[:, :, :, :count].clone()]


LONG = "the hen and the ant ran in the rain, then in the tent an eel ate her hat. " * 2


def test_every_split_of_a_prompt_gives_the_same_bytes_and_the_same_cache(family: Language) -> None:
    tokens = family.runtime.tokenizer.of_text(LONG)
    asked = completion(LONG, repetition_penalty=1.3, temperature=0.7)
    want = written(family, asked, forget=True)
    wanted = cached(family, len(tokens) - 1)
    splits = [1, 2, 15, 16, 17, 31, 32, 33, 64, len(LONG) - 1]
    for split in splits if is_fast(family) else [33, 64]:
        family.slots.forget()
        written(family, completion(LONG[:split] + "zz"))
        assert written(family, asked) == want
        assert all(
            torch.equal(*pair) for pair in zip(cached(family, len(tokens) - 1), wanted, strict=True)
        )


def test_the_next_turn_reads_what_is_new_and_its_progress_ends_alike(family: Language) -> None:
    begun = completion(LONG, max_tokens=40)
    text = written(family, begun, forget=True)[0]
    following = completion(LONG + text + " and then", max_tokens=2)
    reused = steps_of(family, following)
    family.slots.forget()
    afresh = steps_of(family, following)
    assert reused[0] < afresh[0] - 2
    assert reused[1] == afresh[1]


def test_a_prompt_of_another_owner_is_read_whole(family: Language) -> None:
    family.slots.forget()
    afresh, again = (steps_of(family, completion(LONG, "ann"))[0] for _ in range(2))
    assert again < afresh
    assert steps_of(family, completion(LONG, "bob"))[0] == afresh


def test_a_cancel_at_any_step_leaves_what_the_next_can_reuse(family: Language) -> None:
    asked = completion(LONG, repetition_penalty=1.3)
    want = written(family, asked, forget=True)
    for ticks in range(14) if is_fast(family) else (1, 4):
        family.slots.forget()
        engine = Engine(CPU)
        engine.add("canceled", family.generate(completion(LONG[:-9] + "x" * 40), seeded(1)))
        for _ in range(ticks):
            engine.tick()
        engine.cancel("canceled")
        assert written(family, asked) == want


def test_a_text_that_fails_is_not_reused(family: Language) -> None:
    asked = completion(LONG)
    want = written(family, asked, forget=True)
    for cache in family.runtime.net.caches:
        cache.fill_(torch.nan)
    with pytest.raises(NotFinite):
        written(family, asked)
    assert written(family, asked) == want


def requests() -> list[LanguageParams]:
    """Texts that share beginnings of every length; stories ask for a title in their own slots."""
    cuts = [LONG[: 11 * n] + "eel" * (n % 3) for n in range(1, 14)]
    texts = [completion(cut, "ab"[n % 2], repetition_penalty=1.2) for n, cut in enumerate(cuts)]
    return [*texts, *(LanguageParams.model_validate(params) for params in PARAMS)]


def test_jobs_that_share_beginnings_come_and_go_and_keep_their_bytes(family: Language) -> None:
    asked = requests() if is_fast(family) else requests()[3::5]
    want = [written(family, params, forget=True) for params in asked]
    family.slots.forget()
    chance, engine, running = random.Random(4), Engine(CPU), set[int]()
    numbers = [n for n in range(len(asked)) for _ in range(3 if is_fast(family) else 2)]
    chance.shuffle(numbers)
    jobs = dict(enumerate(numbers))
    coming = sorted(jobs)
    while coming or len(engine):
        while coming and len(engine) < family.max_items and chance.random() < 0.4:
            job = coming.pop()
            running.add(job)
            engine.add(job, family.generate(asked[jobs[job]], seeded(3)))
        if running and chance.random() < 0.03:
            canceled = chance.choice(sorted(running))
            running.discard(canceled)
            engine.cancel(canceled)
        for event in engine.tick():
            assert not isinstance(event, Failed)
            if isinstance(event, Finished):
                running.discard(event.id)
                assert values(event.artifacts) == want[jobs[event.id]]
    assert family.slots.free == family.max_items
