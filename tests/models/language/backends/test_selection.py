"""What a language model takes in memory, and how many texts it writes side by side for that."""

from pathlib import Path
from typing import Any

import pytest
import torch

from models.checkpoint.header import CheckpointError
from models.checkpoint.weights import load
from models.engine.batching import Placement
from models.language.backends import selection
from models.language.language import Language
from tests.models.families import tiny_checkpoint

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint(tmp_path_factory.mktemp("language"), "language")


def test_weights_take_what_they_are_kept_as(path: Path) -> None:
    header = load(path).header
    other = header.model_copy(update={"net": {**header.net, "config": {"model_type": "gpt2"}}})
    single, half, narrow = (
        Placement(CPU),
        Placement(CPU, torch.bfloat16),
        Placement(CPU, language_dtype=torch.int8),
    )
    cases: list[tuple[set[str], Placement, int]] = [
        ({"F32"}, single, 4),
        ({"BF16"}, single, 2),  # as it came
        ({"F16"}, single, 4),  # the kernel has none so narrow that would lose nothing
        ({"BF16", "F32"}, single, 4),
        ({"F32"}, half, 2),
        ({"F32"}, narrow, 1),
    ]
    table = 272 * 32
    caches = 17 * 2 * 4 * 2 * 2 * 1024 * 16  # keys and values of 16 slots and of what fills up
    for came, placement, each in cases:
        kept = table * (2 if came in ({"BF16"}, {"F16"}) else 4)  # of tokens' vectors
        size = selection.loaded_bytes(header, 100_000, frozenset({*came, "U8"}), placement)
        assert size == 100_000 * each + kept + caches, (came, placement)
        assert selection.loaded_bytes(other, 50, frozenset(came), single) == 200 + 2**30


def test_there_are_as_many_slots_as_a_worker_has_room_for(path: Path) -> None:
    checkpoint = load(path)
    elements = sum(t.numel() for t in checkpoint.tensors.values())
    slot = 2 * 4 * 2 * 2 * 1024 * 16

    def weighed(memory: int) -> int:
        placement = Placement(CPU, memory_limit=memory)
        return selection.loaded_bytes(checkpoint.header, elements, frozenset({"F32"}), placement)

    weights = weighed(2**30) - 17 * slot
    for room, slots in ((17 * slot, 16), (6 * slot, 5), (3 * slot - 1, 1), (0, 1)):
        family = Language(checkpoint, Placement(CPU, memory_limit=weights + room))
        assert family.max_items == slots
        caches = sum(cache.nbytes for cache in family.runtime.net.caches)
        assert weighed(weights + room) == weights + caches
        assert (weighed(weights + room) <= weights + room) == (room >= 2 * slot)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "find_spec", lambda name: None)
        assert weighed(2**20) <= 2**20, "whatever net it is, it fits where its weights do"
        assert 1 <= Language(checkpoint, Placement(CPU, memory_limit=2**20)).max_items < 16


@pytest.mark.parametrize("net", [{}, {"config": 3}, {"context": "long"}])
def test_a_header_that_is_none_of_a_language_model_is_refused_before_it_is_weighed(
    path: Path, net: dict[str, Any]
) -> None:
    checkpoint = load(path)
    header = checkpoint.header.model_copy(
        update={"net": {**checkpoint.header.net, **net} if net else {}}
    )
    with pytest.raises((CheckpointError, ValueError)):
        selection.loaded_bytes(header, 50, frozenset({"F32"}), Placement(CPU))
