"""Slots: taken and given back, zeroed, and never more than there are."""

import pytest
import torch

from models.engine.batching import SeamError
from models.engine.slots import SCRATCH, Slots


def test_a_slot_is_zeroed_when_it_is_taken_and_no_other() -> None:
    keys, values = torch.full((4, 2), torch.nan), torch.ones(4, 3)
    slots = Slots(keys, values)
    with slots.take() as slot:
        assert slot != SCRATCH
        assert keys[slot].tolist() == [0, 0]
        assert values[slot].tolist() == [0, 0, 0]
        others = [row for row in range(4) if row != slot]
        assert keys[others].isnan().all()
        assert (values[others] == 1).all()


def test_it_is_given_back_however_the_block_ends() -> None:
    slots = Slots(torch.zeros(3, 1))
    with pytest.raises(RuntimeError, match="a flow failed"), slots.take():
        raise RuntimeError("a flow failed")
    with slots.take() as one, slots.take() as two:
        assert {one, two} == {1, 2}
        assert slots.free == 0
        with pytest.raises(SeamError, match="more flows than slots"), slots.take():
            pass
    assert slots.free == 2


@pytest.mark.parametrize("sizes", [[], [1], [3, 4]])
def test_caches_must_have_as_many_rows(sizes: list[int]) -> None:
    with pytest.raises(ValueError, match="as many rows"):
        Slots(*(torch.zeros(size, 1) for size in sizes))
