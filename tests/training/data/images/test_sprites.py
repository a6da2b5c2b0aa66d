import numpy as np
import pytest

from training.data.images.sprites import AREA, FACTORS, SHAPES, draw, load_sprites


def stamped(**known: int) -> np.ndarray:
    """One picture, the middle of every factor but for those known."""
    row = [known.get(name, count // 2) for name, count in FACTORS.items()]
    return draw(np.array([row]))[0, 0].astype(int)


def test_every_combination_of_shape_scale_and_rotation_is_another_picture() -> None:
    rows = [[s, k, r, 8, 8] for s in range(3) for k in range(6) for r in range(20)]
    pictures = draw(np.array(rows)).reshape(len(rows), -1)
    assert len(np.unique(pictures, axis=0)) == len(rows)


@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_shapes_have_equal_areas_that_grow_with_the_scale(shape: int) -> None:
    areas = [stamped(shape=shape, scale=k).sum() / 255 for k in range(FACTORS["scale"])]
    expected = [AREA * (0.5 + 0.1 * k) ** 2 for k in range(FACTORS["scale"])]
    assert areas == pytest.approx(expected, rel=0.02)


def test_places_move_the_sprite_and_change_nothing_else() -> None:
    here, there = stamped(x=3, y=4), stamped(x=7, y=2)
    assert np.array_equal(np.roll(here, (-4, 8), (0, 1)), there)
    assert np.array_equal(stamped(shape=0, rotation=0), stamped(shape=0, rotation=0).T)


@pytest.mark.parametrize("corner", [(0, 0), (15, 15)])
@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_no_sprite_is_cut_off_whatever_its_place_and_turn(
    shape: int, corner: tuple[int, int]
) -> None:
    for rotation in range(FACTORS["rotation"]):
        known = {"shape": shape, "scale": 5, "rotation": rotation}
        middle = stamped(**known).sum()
        assert stamped(**known, x=corner[0], y=corner[1]).sum() == middle
        border = stamped(**known, x=corner[0], y=corner[1])
        assert not border[[0, -1]].any()
        assert not border[:, [0, -1]].any()


@pytest.mark.slow
def test_the_whole_set_has_its_shapes_and_no_picture_twice() -> None:
    data = load_sprites()
    assert data.train[0].shape == (60_000, 1, 64, 64)
    assert data.test[0].shape == (5_000, 1, 64, 64)
    assert data.train[1].shape == (60_000, 5)
    for column, count in zip(data.train[1].T, FACTORS.values(), strict=True):
        assert column.unique().tolist() == list(range(count))
    sizes = tuple(FACTORS.values())
    numbers = [
        np.ravel_multi_index(columns[1].numpy().T, sizes) for columns in (data.train, data.test)
    ]
    assert len(np.unique(np.concatenate(numbers))) == 65_000
    assert np.array_equal(draw(data.test[1][:50].numpy()), data.test[0][:50].numpy())
