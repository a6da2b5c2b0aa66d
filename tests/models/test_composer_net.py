"""The composer's net: what it sees, and that a step gives what the whole does."""

import pytest
import torch

from models.nets.composer import ComposerModel

Piece = tuple[torch.Tensor, torch.Tensor]
SMALL = {"vocabulary": 11, "facts": [3, 4], "layers": 2, "width": 16, "heads": 4, "inner": 20}


def net_of(window: int = 5) -> ComposerModel:
    torch.manual_seed(0)
    return ComposerModel(**SMALL, groups=2, window=window).eval().requires_grad_(False)  # type: ignore[arg-type]


def piece(count: int, seed: int = 1) -> Piece:
    rng = torch.Generator().manual_seed(seed)
    tokens = torch.randint(11, (2, count), generator=rng)
    facts = torch.stack([torch.randint(n, (2, count), generator=rng) for n in (3, 4)], 2)
    return tokens, facts


def stepped(net: ComposerModel, piece: Piece, slots: tuple[int, ...]) -> torch.Tensor:
    """All tokens one at a time, the rows in these slots; other slots stay empty."""
    tokens, facts = piece
    cache, logits = net.empty(4), []
    for at in range(tokens.shape[1]):
        x = net.begun(tokens[:, at], facts[:, at])
        where = torch.full((len(tokens),), at), torch.tensor(slots)
        logits.append(net.step(x, *where, cache))
    for slot in {0, 1, 2, 3} - set(slots):
        assert not cache.keys[slot].any()
        assert not cache.values[slot].any()
    return torch.stack(logits, 1)


@pytest.mark.parametrize("window", [1, 5, 8, 30])
def test_steps_give_what_the_whole_does(window: int) -> None:
    net = net_of(window)
    tokens, facts = piece(13)
    logits = stepped(net, (tokens, facts), (2, 1))
    torch.testing.assert_close(logits, net(tokens, facts), rtol=1e-4, atol=1e-5)


def test_numbers_that_are_none_stay_in_their_row() -> None:
    net = net_of()
    tokens, facts = piece(2)
    x = net.begun(tokens[:, 0], facts[:, 0])
    where = torch.zeros(2, dtype=torch.long), torch.tensor([1, 2])
    clean = net.step(x, *where, net.empty(3))
    x[0] = torch.nan
    bad = net.step(x, *where, net.empty(3))
    assert bad[0].isnan().all()
    assert torch.equal(bad[1], clean[1])


def test_a_token_sees_the_window_before_it_and_nothing_later() -> None:
    net = net_of(window=3)
    tokens, facts = piece(12)
    other = tokens.clone()
    other[:, 4] = (other[:, 4] + 1) % 11
    differ = (net(tokens, facts) != net(other, facts)).any(2).all(0)
    assert differ.tolist() == [4 <= at < 4 + 1 + 2 * 2 for at in range(12)]  # of two layers


def test_how_far_a_token_is_counts_and_where_it_is_does_not() -> None:
    net = net_of()
    tokens, facts = torch.full((1, 9), 4), torch.ones(1, 9, 2, dtype=torch.long)
    torch.testing.assert_close(net(tokens, facts)[:, 4], net(tokens, facts)[:, 8])
    tokens[0, 2] = 3
    nearer = net(tokens, facts)
    assert not torch.allclose(nearer[:, 3], nearer[:, 4])


def test_what_the_piece_is_counts() -> None:
    net = net_of()
    tokens, facts = piece(6)
    for fact in range(2):
        other = facts.clone()
        other[..., fact] = (other[..., fact] + 1) % 3
        assert not torch.allclose(net(tokens, facts), net(tokens, other))


@pytest.mark.parametrize("fault", [{"layers": 0}, {"heads": 3}, {"groups": 3}])
def test_a_net_that_can_not_be_is_refused(fault: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"one of everything|don't share"):
        ComposerModel(**{**SMALL, **fault})  # type: ignore[arg-type]
