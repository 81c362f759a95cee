"""The outlines of the lungs, and what the controls show of an image."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from ml.training.lungs import SIDE, dice, fill, outlines, read_cases, train_outliner

NUMBER = 15


@pytest.fixture(scope="module")
def drawn_lungs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifteen drawn chests: two dark ovals on a bright ground, and their outlines."""
    data = tmp_path_factory.mktemp("lungs")
    random = np.random.default_rng(4)
    for folder in ("images", "lungs"):
        (data / "covid-segmentation" / folder).mkdir(parents=True)
    for n in range(NUMBER):
        chest, mask = Image.new("L", (SIDE, SIDE), 190), Image.new("L", (SIDE, SIDE), 0)
        x, y = random.integers(-6, 7, 2)
        for left in (14, 54):
            box = (left + x, 18 + y, left + 28 + x, 76 + y)
            ImageDraw.Draw(chest).ellipse(box, fill=70)
            ImageDraw.Draw(mask).ellipse(box, fill=255)
        noisy = np.asarray(chest, float) + random.normal(0, 6, (SIDE, SIDE))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(
            data / f"covid-segmentation/images/case.{n}.jpg", quality=90
        )
        mask.save(data / f"covid-segmentation/lungs/case.{n}.png")
    return data


def test_the_outliner_finds_the_lungs_of_cases_that_it_never_saw(drawn_lungs: Path) -> None:
    images, lungs = read_cases(drawn_lungs)
    assert images.shape == lungs.shape == (NUMBER, SIDE, SIDE, 1)
    network, overlaps = train_outliner(images, lungs, steps=40)
    assert len(overlaps) == 3
    assert overlaps.min() > 0.8
    found = outlines(network, np.rint(images[..., 0] * 255).astype(np.uint8))
    inside = lungs[..., 0] > 0.5
    # The margin keeps the rim inside, and the ground stays outside.
    assert found[inside].mean() > 0.9
    assert found[~inside].mean() < 0.3


def test_overlap_is_one_for_the_same_and_none_for_apart() -> None:
    one = np.zeros((2, 4, 4, 1))
    one[:, :2] = 1
    other = np.stack([one[0], 1 - one[1]])
    assert dice(one, other).tolist() == [1.0, 0.0]


def test_what_is_hidden_takes_the_mean_grey_of_the_lungs() -> None:
    squares = np.full((2, 4, 4), 200, np.uint8)
    lungs = np.zeros((2, 4, 4), bool)
    lungs[0, :2] = True
    squares[0, :2] = 60
    only = fill(squares, lungs, lungs)
    assert (only[0] == 60).all()
    without = fill(squares, ~lungs, lungs)
    assert (without[0, :2] == 60).all()
    assert (without[0, 2:] == 200).all()
    # Where no lung was found nothing of the image decides the grey.
    assert (only[1] == 127).all()


def test_a_missing_set_of_outlines_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="covid-segmentation/lungs"):
        read_cases(tmp_path)
