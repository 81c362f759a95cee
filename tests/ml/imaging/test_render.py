"""Pixels to what a browser shows."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from ml.imaging import load_image, render_jpeg, render_png
from ml.phantom import draw_chest

PICTURE = draw_chest(4, rows=300, columns=200)


def test_a_png_keeps_every_8_bit_value():
    ramp = (np.arange(256, dtype=np.float32) / np.float32(255)).reshape(16, 16)
    assert np.array_equal(load_image(render_png(ramp)).pixels, ramp)


@pytest.mark.parametrize("render", [render_png, render_jpeg])
def test_a_large_picture_is_reduced_in_proportion_and_a_small_one_is_left(render):
    assert Image.open(BytesIO(render(PICTURE, max_side=150))).size == (100, 150)
    assert Image.open(BytesIO(render(PICTURE, max_side=301))).size == (200, 300)
    assert Image.open(BytesIO(render(PICTURE))).size == (200, 300)


def test_a_very_long_picture_keeps_one_pixel_of_width():
    assert Image.open(BytesIO(render_png(np.ones((400, 2), dtype=np.float32), max_side=40))).size == (1, 40)


def test_reduction_averages_a_fine_grid_instead_of_sampling_it():
    grid = (np.indices((256, 256)).sum(axis=0) % 2).astype(np.float32)
    reduced = np.asarray(Image.open(BytesIO(render_png(grid, max_side=32))))
    assert np.abs(reduced.astype(int) - 127).max() <= 2


@pytest.mark.parametrize("render", [render_png, render_jpeg])
def test_a_rendered_file_is_8_bit_grey_without_metadata(render):
    image = Image.open(BytesIO(render(PICTURE)))
    assert image.mode == "L"
    assert not image.getexif()
    assert not set(image.info) - {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_values_outside_0_to_1_are_cut_and_no_number_is_an_error():
    assert load_image(render_png(np.array([[-1, 2]], dtype=np.float32))).pixels.tolist() == [[0, 1]]
    with pytest.raises(ValueError, match="finite"):
        render_png(np.array([[np.nan]], dtype=np.float32))
