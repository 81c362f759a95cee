"""The drawn chest looks like one, in the respects that a picture's numbers can show."""

import numpy as np
import pytest

from ml.phantom import Variant, draw_chest


def mean(picture, top, bottom, left, right):
    rows, columns = picture.shape
    return picture[int(top * rows) : int(bottom * rows), int(left * columns) : int(right * columns)].mean()


@pytest.mark.parametrize("seed", range(4))
def test_lungs_are_dark_the_spine_is_bright_and_the_air_outside_is_black(seed):
    picture = draw_chest(seed, rows=256, columns=256)
    right_lung, left_lung = mean(picture, 0.3, 0.6, 0.22, 0.38), mean(picture, 0.3, 0.45, 0.65, 0.78)
    spine, abdomen = mean(picture, 0.4, 0.6, 0.47, 0.53), mean(picture, 0.85, 0.93, 0.2, 0.4)
    assert (
        mean(picture, 0.01, 0.05, 0.15, 0.25) < 0.1 < max(right_lung, left_lung) < 0.45 < min(spine, abdomen)
    )


def test_the_heart_lies_on_the_patients_left():
    picture = draw_chest(0, rows=256, columns=256)
    assert mean(picture, 0.6, 0.7, 0.58, 0.66) > mean(picture, 0.6, 0.7, 0.34, 0.42) + 0.15


def test_a_picture_is_float32_from_black_to_white_and_its_own():
    picture = draw_chest(5, rows=200, columns=160)
    assert (picture.dtype, picture.shape) == (np.float32, (200, 160))
    assert 0 <= picture.min() < 0.05 < 0.9 < picture.max() <= 1
    picture[:] = 0
    assert draw_chest(5, rows=200, columns=160).any()


def test_the_same_seed_draws_the_same_chest_and_another_seed_another():
    first = draw_chest(6, rows=128, columns=128)
    assert np.array_equal(first, draw_chest(6, rows=128, columns=128))
    assert np.abs(first - draw_chest(8, rows=128, columns=128)).mean() > 0.01


def test_a_chest_is_the_same_at_another_size():
    small = draw_chest(7, rows=320, columns=320)
    large = draw_chest(7, rows=960, columns=960).reshape(320, 3, 320, 3).mean(axis=(1, 3))
    inside = (slice(40, 300), slice(20, 300))  # The side marker is set in whole pixels.
    assert np.corrcoef(small[inside].ravel(), large[inside].ravel())[0, 1] > 0.99


@pytest.mark.parametrize("size", [(90, 60), (60, 90), (512, 420), (33, 34)])
def test_any_size_can_be_drawn(size):
    assert draw_chest(1, rows=size[0], columns=size[1]).shape == size


def test_disease_whitens_the_lungs_where_it_lies():
    normal, peripheral, diffuse = (
        draw_chest(9, variant=variant, rows=256, columns=256) for variant in Variant
    )
    lungs = (0.3, 0.65, 0.2, 0.4)
    centre = (0.3, 0.42, 0.3, 0.36)
    assert mean(diffuse, *lungs) > mean(normal, *lungs) + 0.05
    assert mean(diffuse, *centre) > mean(normal, *centre) + 0.05
    edges = [(0.45, 0.7, 0.14, 0.24), (0.45, 0.7, 0.76, 0.86)]
    assert min(mean(peripheral, *edge) - mean(normal, *edge) for edge in edges) > 0.02


@pytest.mark.parametrize(("seed", "place"), [(0, (0, 0.1, 0.9, 1)), (1, (0, 0.1, 0, 0.1))], ids=["L", "R"])
def test_the_warning_and_the_side_marker_are_in_the_picture(seed, place):
    picture = draw_chest(seed, rows=512, columns=512)
    rows, columns = picture.shape
    top, bottom, left, right = place
    corner = picture[int(top * rows) : int(bottom * rows), int(left * columns) : int(right * columns)]
    assert (corner > 0.9).mean() > 0.01
    assert (
        picture[int(0.955 * rows) : int(0.99 * rows), int(0.25 * columns) : int(0.75 * columns)] > 0.95
    ).mean() > 0.03
