"""Figures against values worked out by hand."""

import numpy as np
import pytest

from ml.evaluation.metrics import auroc, by_group, measure, share


def test_a_share_bears_its_wilson_interval() -> None:
    # Wilson 1927 for 90 of 100 at 1.959964: (0.9 + z2/2n -+ z sqrt(0.09/100 + z2/4n2)) / (1 + z2/n), z2 =
    # 3.841459
    assert share(90, 100) == {"value": 0.9, "interval_95": [0.8256, 0.9448], "correct": 90, "total": 100}
    assert share(0, 0)["value"] is None


def test_sensitivity_and_specificity_are_read_from_the_confusion_matrix() -> None:
    truth = np.array(["a"] * 4 + ["b"] * 4 + ["c"] * 2)
    called = np.array([0, 0, 0, 1, 1, 1, 2, 0, 2, 2])
    probabilities = np.eye(3)[called] * 0.7 + 0.1
    figures = measure(truth, probabilities, ["a", "b", "c"])
    assert figures["confusion_matrix"]["rows_are_truth"] == [[3, 1, 0], [1, 2, 1], [0, 0, 2]]
    assert figures["accuracy"]["value"] == 0.7
    assert figures["balanced_accuracy"] == pytest.approx((0.75 + 0.5 + 1) / 3, abs=1e-4)
    assert figures["classes"]["a"]["sensitivity"]["correct"] == 3
    assert figures["classes"]["a"]["specificity"]["value"] == pytest.approx(5 / 6, abs=1e-4)
    assert figures["classes"]["c"]["specificity"]["value"] == pytest.approx(7 / 8, abs=1e-4)


def test_the_area_under_the_curve_is_the_share_of_pairs_in_the_right_order() -> None:
    positive = np.array([True, True, False, False])
    result = auroc(positive, np.array([0.9, 0.4, 0.5, 0.1]))
    assert result["value"] == 0.75
    low, high = result["interval_95"]
    assert low <= 0.75 <= high
    assert auroc(positive[:2], np.array([0.9, 0.4]))["value"] is None


def test_a_class_is_counted_apart_for_each_group() -> None:
    source, truth = np.array(["x", "x", "y"]), np.array(["a", "a", "a"])
    groups = by_group(source, truth, np.array(["a", "b", "a"]))
    assert groups["x"]["sensitivity"]["a"]["value"] == groups["x"]["accuracy"]["value"] == 0.5
    assert groups["y"]["sensitivity"]["a"]["value"] == 1.0
    assert groups["y"]["images"] == 1
