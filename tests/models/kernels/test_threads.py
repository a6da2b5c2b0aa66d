"""Threads that run a kernel together: they wait for each other, and share the work."""

import numpy as np
import pytest

from models.kernels.simd import compiled
from models.kernels.threads import MOST, Member, ThreadTeam, barrier, share


@compiled
def turn_about(rounds: int, seen: np.ndarray, each: np.ndarray, member: Member) -> None:
    """Every member adds up what all have written in the round before."""
    for number in range(rounds):
        each[number % 2, member.number] = number + 1
        barrier(member)
        for other in range(member.size):
            seen[member.number] += each[number % 2, other]


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_what_each_wrote_before_a_meeting_all_see_after_it(size: int) -> None:
    team, rounds = ThreadTeam(size), 3000
    for _ in range(3):
        seen, each = np.zeros(size, np.int64), np.zeros((2, size), np.int64)
        team.run(turn_about, rounds, seen, each)
        assert (seen == size * rounds * (rounds + 1) // 2).all()


@pytest.mark.parametrize("count", [0, 1, 2, 7, 64, 3072])
@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_shares_are_all_there_is_and_fair(size: int, count: int) -> None:
    arrivals = np.zeros(1, np.int64)
    shares = [share(Member(number, size, arrivals), count) for number in range(size)]
    assert [i for begin, end in shares for i in range(begin, end)] == list(range(count))
    sizes = {end - begin for begin, end in shares}
    assert max(sizes) - min(sizes) <= 1


def test_a_team_has_no_more_members_than_are_of_use() -> None:
    assert ThreadTeam(64).size == MOST
    assert ThreadTeam(0).size == 1


def test_what_goes_wrong_is_told() -> None:
    with pytest.raises(TypeError):
        ThreadTeam(2).run(turn_about, 1)
