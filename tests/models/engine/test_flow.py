"""Stories side by side: `gather_flows` drives them together, whatever each awaits."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from models.engine.batching import BatchedFn, SeamError
from models.engine.flow import Flow, Step, gather, gather_flows, resume
from models.engine.noise import line, slerp, walk

DOUBLE: BatchedFn[Tensor] = BatchedFn(lambda x: 2 * x, (torch.zeros(1),))


async def doubled(times: int, log: list[str], name: str) -> float:
    """A story of so many steps that says when it is closed."""
    x = torch.ones(1)
    try:
        for _ in range(times):
            x = await Step(DOUBLE, (x,))
    finally:
        log.append(name)
    return float(x)


def drive(story: Flow[Any]) -> tuple[Any, list[int]]:
    """What it returns, and how many rows it awaited each time."""
    results: tuple[Any, ...] | None = None
    widths = list[int]()
    while True:
        try:
            steps = resume(story, results)
        except StopIteration as end:
            return end.value, widths
        widths.append(len(steps))
        results = tuple(step.run.fn(*step.row) for step in steps)


async def side_by_side(*stories: Flow[Any]) -> tuple[Any, ...]:
    return await gather_flows(*stories)


def test_they_await_together_and_keep_their_order() -> None:
    log: list[str] = []
    lengths = (2, 0, 3, 1)
    stories = [doubled(n, log, str(n)) for n in lengths]
    ends, widths = drive(side_by_side(*stories))
    assert ends == (4.0, 1.0, 8.0, 2.0)
    assert widths == [3, 2, 1]


def test_a_story_may_await_several_rows_at_once() -> None:
    async def pair() -> float:
        a, b = await gather(Step(DOUBLE, (torch.ones(1),)), Step(DOUBLE, (torch.ones(1) * 3,)))
        return float(a + 10 * b)

    ends, widths = drive(side_by_side(pair(), doubled(1, [], ""), pair()))
    assert ends == (62.0, 2.0, 62.0)
    assert widths == [5]


def test_closing_closes_all() -> None:
    log: list[str] = []
    story = side_by_side(doubled(3, log, "a"), doubled(3, log, "b"))
    resume(story, None)
    story.close()
    assert log == ["a", "b"]


def test_one_that_fails_closes_the_others() -> None:
    log: list[str] = []

    async def failing() -> float:
        await Step(DOUBLE, (torch.ones(1),))
        raise ValueError("no")

    story = side_by_side(doubled(3, log, "a"), failing(), doubled(3, log, "b"))
    with pytest.raises(ValueError, match="no"):
        drive(story)
    assert sorted(log) == ["a", "b"]


def test_there_must_be_one() -> None:
    with pytest.raises(SeamError):
        gather_flows()


@pytest.mark.parametrize("between", [slerp, line])
def test_a_walk_begins_and_ends_where_it_should(
    between: Callable[[Tensor, Tensor, float], Tensor],
) -> None:
    a, b = torch.randn(50), torch.randn(50)
    points = walk(between, a, b, 5)
    assert torch.equal(points[0], a)
    assert torch.allclose(points[-1], b, atol=1e-6)


def test_slerp_keeps_the_length_and_goes_evenly() -> None:
    a, b = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    points = torch.stack(walk(slerp, a, b, 4))
    assert torch.allclose(points.norm(dim=1), torch.ones(4), atol=1e-6)
    angles = torch.atan2(points[:, 1], points[:, 0]).rad2deg()
    assert torch.allclose(angles, torch.tensor([0.0, 30.0, 60.0, 90.0]), atol=1e-4)


def test_slerp_between_equal_or_opposite_points_is_a_line() -> None:
    a = torch.tensor([1.0, 2.0])
    assert torch.allclose(slerp(a, a, 0.3), a)
    assert torch.isfinite(slerp(a, -a, 0.5)).all()
