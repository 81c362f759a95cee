"""Pixels to network input, the same in training and serving."""

from pathlib import Path

import numpy as np
import pytest

from ml.data.manifest import load_squares, read_grey
from ml.imaging import load_image
from ml.preprocessing import Preprocessing
from tests.ml.conftest import drawing, save

TO_32 = Preprocessing(size=32)


def test_an_image_of_any_shape_becomes_the_networks_square() -> None:
    for shape in [(1, 1), (7, 300), (2500, 3000), (32, 32), (33, 31)]:
        result = TO_32(np.full(shape, 0.25, np.float32))
        assert result.shape == (1, 32, 32, 1)
        assert result.dtype == np.float32
        assert result == pytest.approx(0.25, abs=1e-6)


def test_the_image_is_stretched_so_that_a_place_keeps_its_share_of_height_and_width() -> None:
    pixels = np.zeros((300, 1000), np.float32)
    pixels[75:150, 500:750] = 1
    square = TO_32.square(pixels)
    rows, columns = np.nonzero(square > 0.5)
    assert (rows.min(), rows.max() + 1) == (8, 16)
    assert (columns.min(), columns.max() + 1) == (16, 24)


def test_shrinking_averages_over_area_so_fine_detail_does_not_alias() -> None:
    checkers = (np.indices((2500, 3000)).sum(axis=0) % 2).astype(np.float32)
    inner = TO_32.square(checkers)[1:-1, 1:-1]
    assert inner == pytest.approx(0.5, abs=0.01)


def test_the_same_pixels_give_the_same_bits_and_are_not_changed() -> None:
    pixels = np.random.default_rng(1).random((411, 512), dtype=np.float32)
    before = pixels.copy()
    assert TO_32(pixels).tobytes() == TO_32(np.asfortranarray(pixels)).tobytes()
    assert (pixels == before).all()


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((0, 5)), np.zeros(5), np.zeros((4, 4, 3)), np.full((4, 4), 1.01), np.full((4, 4), -0.01),
     np.array([[0.5, np.nan]]), np.array([[0.5, np.inf]])],
    ids=["empty", "a line", "colour", "above white", "below black", "not a number", "infinite"],
)  # fmt: skip
def test_pixels_that_are_no_grey_image_in_0_to_1_are_refused(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError):
        TO_32(pixels)


def test_a_saved_preprocessing_does_to_an_image_what_the_training_did(tmp_path: Path) -> None:
    image = save(drawing(5), tmp_path / "image.png")
    TO_32.to_json(tmp_path / "preprocessing.json")
    served = Preprocessing.from_json((tmp_path / "preprocessing.json").read_bytes())
    assert served == TO_32
    trained_on = load_squares(["image.png"], tmp_path, TO_32)[0]
    serving = served(load_image(image).pixels)[0, :, :, 0]
    assert np.abs(trained_on / 255 - serving).max() <= 0.5 / 255 + 1e-6


def test_the_training_reader_and_the_serving_reader_see_the_same_pixels(tmp_path: Path) -> None:
    for name in ("image.png", "image.jpg"):
        path = save(drawing(6), tmp_path / name)
        assert (read_grey(path.read_bytes()) == load_image(path).pixels).all()


@pytest.mark.parametrize(
    "text", ['{"format": 2, "size": 32}', '{"size": 32}', '{"format": 1, "size": 32, "crop": 1}']
)
def test_a_preprocessing_of_another_format_is_refused_rather_than_guessed(text: str) -> None:
    with pytest.raises(ValueError):
        Preprocessing.from_json(text.encode())
