"""The check for images unlike all that a classifier was trained on."""

import dataclasses

import numpy as np
import pytest

from ml.imaging import ImageRefused
from ml.serving import ServedModel, load_model
from ml.serving.novelty import NOVELTY, Novelty, distances
from ml.training.novelty import fit_novelty
from tests.ml.conftest import Trained, drawing


def cluster(seed: int, label: int, count: int = 400) -> np.ndarray:
    """Features around one of three corners, wide in one direction and narrow in the others."""
    random = np.random.default_rng([seed, label])
    centre = np.eye(3, 8)[label] * 4 + 1
    return (centre + random.standard_normal((count, 8)) * [0.1, 0.1, 0.1, 0.8, 0.1, 0.1, 0.1, 0.1]).astype(
        np.float32
    )


@pytest.fixture(scope="module")
def novelty() -> Novelty:
    labels = np.repeat([0, 1, 2], 400)
    training = np.concatenate([cluster(1, label) for label in range(3)])
    validation = np.concatenate([cluster(2, label) for label in range(3)])
    return fit_novelty(training, labels, validation)


def test_of_images_like_those_trained_on_at_most_about_one_in_a_hundred_is_too_far(novelty: Novelty) -> None:
    fresh = np.concatenate([cluster(3, label) for label in range(3)])
    assert np.mean([novelty(row) > 1 for row in fresh]) < 0.03


def test_an_image_between_the_classes_or_in_a_new_direction_is_too_far(novelty: Novelty) -> None:
    centres = np.stack([cluster(1, label).mean(axis=0) for label in range(3)])
    assert novelty((centres[0] + centres[1]) / 2) > 1
    assert novelty(centres[0] + 2 * np.eye(8, dtype=np.float32)[6]) > 1
    # As far, but in the direction in which the training varies.
    assert novelty(centres[0] + np.eye(8, dtype=np.float32)[3]) < 1


def test_the_distance_is_mahalanobis_to_the_nearest_mean() -> None:
    features = np.array([[0.6, 0.8]], np.float32)
    means = np.array([[0.6, 0.0], [1.0, 0.8]], np.float32)
    whitening = np.array([[2.0, 0.0], [0.0, 1.0]], np.float32)
    # 0.8 from the first mean, twice 0.4 to the left of the second.
    assert distances(features, means, whitening) == pytest.approx([0.8])
    assert Novelty(means, whitening, 0.4)(features[0]) == pytest.approx(2.0)


def test_no_features_at_all_are_no_division_by_zero(novelty: Novelty) -> None:
    assert np.isfinite(novelty(np.zeros(8, np.float32)))


def test_what_is_stored_is_read_back_and_the_same_numbers_give_the_same_bytes(novelty: Novelty) -> None:
    content = novelty.to_bytes()
    again = Novelty.from_bytes(content)
    row = cluster(5, 2)[0]
    assert again(row) == pytest.approx(novelty(row), rel=1e-6)
    assert again.to_bytes() == content


def test_arrays_that_do_not_fit_or_lack_are_refused(novelty: Novelty) -> None:
    with pytest.raises(ValueError, match="fit"):
        Novelty.from_bytes(dataclasses.replace(novelty, means=novelty.means[:, :5]).to_bytes())
    with pytest.raises(ValueError, match="fit"):
        Novelty.from_bytes(dataclasses.replace(novelty, threshold=0.0).to_bytes())


def test_a_trained_model_measures_the_novelty_of_each_image(trained: Trained) -> None:
    model = load_model(trained.folder)
    assert (trained.folder / NOVELTY).is_file()
    assert model.card["novelty"]["refused"]["validation"]["value"] is not None
    output = model.predict(drawing(1).astype(np.float32) / 255)
    assert output.novelty is not None
    assert output.novelty >= 0


def test_an_unfamiliar_image_is_refused_and_a_model_without_the_check_refuses_none(
    served: ServedModel,
) -> None:
    output = served.predict(drawing(1).astype(np.float32) / 255)
    served.check_familiar(dataclasses.replace(output, novelty=None))
    served.check_familiar(dataclasses.replace(output, novelty=1.0))
    with pytest.raises(ImageRefused) as refused:
        served.check_familiar(dataclasses.replace(output, novelty=1.01))
    assert refused.value.code == "unfamiliar"
    assert "open it without AI" in str(refused.value)
