"""Calibration, operating points, conformal sets and curves against hand calculation and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, logit, softmax
from sklearn.metrics import brier_score_loss, log_loss

from ml.evaluation.calibration import (
    TEMPERATURES,
    brier_score,
    calibration_figures,
    expected_error,
    fit_temperature,
    probabilities_at,
    reliability,
)
from ml.evaluation.conformal import conformal_figures, possible_sets, thresholds
from ml.evaluation.curves import average_precision, precision_recall_points, roc_points, thinned
from ml.evaluation.operating_points import choose, counts_at, read_off, threshold_for
from ml.serving.possible import PossibleLabels

LABELS = ["covid19", "viral_pneumonia", "normal"]


def drawn(count: int, seed: int, sharpness: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits (count, 3), and classes drawn from softmax(logits): calibrated at temperature `sharpness`."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (count, 3))
    classes = (softmax(logits, axis=1).cumsum(axis=1) > random.random((count, 1))).argmax(axis=1)
    return logits * sharpness, classes


# --- calibration ---


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_the_temperature_that_spoilt_the_logits_is_found_again(sharpness: float) -> None:
    logits, truth = drawn(20_000, seed=1, sharpness=sharpness)
    assert fit_temperature(logits, truth) == pytest.approx(sharpness, rel=0.03)


def test_no_other_temperature_has_a_smaller_loss() -> None:
    logits, truth = drawn(500, seed=2, sharpness=2.0)

    def loss(temperature: float) -> float:
        return float(-log_softmax(logits / temperature, axis=1)[np.arange(500), truth].mean())

    best = loss(fit_temperature(logits, truth))
    assert best <= min(loss(temperature) for temperature in np.linspace(0.3, 9, 200)) + 1e-9


def test_a_few_images_all_called_rightly_do_not_make_it_sure_without_bound() -> None:
    logits = np.eye(3) * 4.0
    assert fit_temperature(logits, np.arange(3)) == pytest.approx(TEMPERATURES[0], rel=1e-3)
    with pytest.raises(ValueError):
        fit_temperature(np.empty((0, 3)), np.empty(0, int))


def test_what_was_said_before_scaling_can_be_recovered_from_what_is_served() -> None:
    logits, _ = drawn(50, seed=3)
    served = probabilities_at(logits, 2.5)
    np.testing.assert_allclose(softmax(2.5 * np.log(served), axis=1), softmax(logits, axis=1), atol=1e-12)


def test_the_calibration_error_is_the_weighted_distance_of_the_bins() -> None:
    # Bins of 1/15: 0.95 and 0.99 in the last, 0.65 in the tenth (0.600 to 0.667).
    confidence = np.array([0.95, 0.99, 0.95, 0.99, 0.65])
    correct = np.array([True, True, True, False, False])
    bins = reliability(confidence, correct)
    assert [entry["images"] for entry in bins] == [1, 4]
    assert expected_error(bins) == pytest.approx(0.8 * abs(0.97 - 0.75) + 0.2 * 0.65)


def test_a_bin_holds_its_upper_edge() -> None:
    edges = np.array([0.0, 1 / 3, 1.0])
    assert [entry["confidence"] for entry in reliability(edges, np.ones(3, bool))] == [0.0, 1 / 3, 1.0]
    just_above = np.array([1 / 3, np.nextafter(1 / 3, 1)])
    assert len(reliability(just_above, np.ones(2, bool))) == 2


def test_brier_score_and_log_loss_are_those_of_scikit_learn() -> None:
    logits, truth = drawn(300, seed=4)
    probabilities = softmax(logits, axis=1)
    figures = calibration_figures(probabilities, truth, LABELS)
    reference = brier_score_loss(truth, probabilities, labels=[0, 1, 2], scale_by_half=False)
    assert brier_score(probabilities, truth) == pytest.approx(reference)
    assert figures["brier_score"] == pytest.approx(reference, abs=1e-4)
    assert figures["log_loss"] == pytest.approx(log_loss(truth, probabilities), abs=1e-4)
    assert figures["images"] == sum(entry["images"] for entry in figures["bins"]) == 300


def test_the_error_by_class_sees_a_rare_class_that_the_highest_class_hides() -> None:
    truth = np.array([2] * 98 + [1] * 2)
    probabilities = np.tile([0.1, 0.0, 0.9], (100, 1))
    figures = calibration_figures(probabilities, truth, LABELS)
    of_class = figures["class_wise_calibration_error"]
    assert figures["expected_calibration_error"] == 0.08
    assert (of_class["covid19"], of_class["viral_pneumonia"], of_class["normal"]) == (0.1, 0.02, 0.08)
    assert of_class["mean"] == pytest.approx(0.2 / 3, abs=1e-4)


# --- operating points ---

POSITIVE = np.array([True, True, True, True, False, False, False, False, False])
SCORE = np.array([0.9, 0.8, 0.6, 0.2, 0.7, 0.4, 0.3, 0.1, 0.05])


@pytest.mark.parametrize(
    ("aim", "at_least", "threshold"),
    [
        # No image without the disease may be called: above 0.7, below 0.8.
        ("specificity", 1.0, 0.75),
        # One of five may: the lowest threshold that still gains a case lies between 0.4 and 0.6.
        ("specificity", 0.8, 0.5),
        ("sensitivity", 0.75, 0.5),
        ("sensitivity", 1.0, 0.15),
        ("sensitivity", 0.5, 0.75),
    ],
)
def test_a_threshold_reaches_its_aim_and_most_of_the_other(
    aim: str, at_least: float, threshold: float
) -> None:
    assert threshold_for(aim, at_least, POSITIVE, SCORE) == pytest.approx(threshold)
    figures = counts_at(threshold, POSITIVE, SCORE)
    assert figures[aim]["value"] >= at_least


def test_where_the_highest_score_has_no_disease_nothing_is_called() -> None:
    positive, score = np.array([True, False]), np.array([0.4, 1.0])
    threshold = threshold_for("specificity", 1.0, positive, score)
    assert counts_at(threshold, positive, score)["specificity"]["value"] == 1.0
    assert counts_at(threshold, positive, score)["sensitivity"]["value"] == 0.0


@settings(deadline=None, max_examples=60)
@given(
    scores=st.lists(st.tuples(st.booleans(), st.integers(0, 20)), min_size=2, max_size=60),
    aim=st.sampled_from(["sensitivity", "specificity"]),
    at_least=st.sampled_from([0.5, 0.95, 0.98, 1.0]),
)
def test_no_threshold_is_better_than_the_chosen_one(
    scores: list[tuple[bool, int]], aim: str, at_least: float
) -> None:
    positive, score = np.array([case for case, _ in scores]), np.array([value / 20 for _, value in scores])
    if positive.all() or not positive.any():
        with pytest.raises(ValueError):
            threshold_for(aim, at_least, positive, score)
        return
    other = "sensitivity" if aim == "specificity" else "specificity"
    chosen = counts_at(threshold_for(aim, at_least, positive, score), positive, score)
    every = [counts_at(threshold, positive, score) for threshold in np.arange(-0.025, 1.1, 0.05)]
    assert chosen[aim]["value"] >= at_least - 1e-4
    assert chosen[other]["value"] == max(entry[other]["value"] for entry in every
                                         if entry[aim]["correct"] >= at_least * entry[aim]["total"])  # fmt: skip


def test_every_disease_gets_both_points_and_normal_none() -> None:
    logits, truth = drawn(400, seed=5)
    points = choose(np.array(LABELS)[truth], softmax(logits, axis=1), LABELS)
    assert [(point["label"], point["aim"], point["at_least"]) for point in points] == [
        ("covid19", "specificity", 0.98), ("covid19", "sensitivity", 0.95),
        ("viral_pneumonia", "specificity", 0.98), ("viral_pneumonia", "sensitivity", 0.95),
    ]  # fmt: skip
    assert {point["chosen_on"] for point in points} == {"validation"}


def test_the_figure_read_off_the_curve_keeps_its_specificity() -> None:
    assert read_off(0.8, POSITIVE, SCORE)["sensitivity"]["correct"] == 3
    assert read_off(0.98, POSITIVE, SCORE)["sensitivity"]["correct"] == 2


# --- conformal sets ---


def test_the_threshold_is_the_corrected_quantile_of_the_own_class() -> None:
    own = np.arange(1, 40) / 40
    probabilities = np.stack([own, 1 - own], axis=1)
    # 39 images: floor(0.05 * 40) = 2, so the second lowest; for the other class too few images to rule it out.
    truth = np.array(["a"] * 39)
    assert thresholds(truth, probabilities, ["a", "b"]) == {"a": pytest.approx(2 / 40), "b": 0.0}
    assert thresholds(truth[:18], probabilities[:18], ["a", "b"])["a"] == 0.0
    assert thresholds(truth[:19], probabilities[:19], ["a", "b"])["a"] == pytest.approx(1 / 40)


def test_each_class_keeps_its_label_as_often_as_promised_on_exchangeable_images() -> None:
    kept = {code: [] for code in LABELS}
    for seed in range(40):
        logits, truth = drawn(600, seed=100 + seed)
        codes, probabilities = np.array(LABELS)[truth], softmax(logits, axis=1)
        rule = PossibleLabels(thresholds(codes[:300], probabilities[:300], LABELS), 0.05)
        figures = conformal_figures(codes[300:], probabilities[300:], LABELS, rule)
        for code, entry in figures["coverage_of_class"].items():
            kept[code].append(entry["value"])
    # 40 repeats of 100 images a class: the mean's standard deviation is below 0.005.
    assert all(np.mean(values) >= 0.95 - 0.015 for values in kept.values())


@settings(deadline=None, max_examples=100)
@given(
    weights=st.lists(st.floats(0.001, 1), min_size=3, max_size=3),
    limits=st.lists(st.floats(0, 1), min_size=3, max_size=3),
)
def test_a_set_is_never_empty_holds_the_highest_and_only_widens_the_plain_rule(
    weights: list[float], limits: list[float]
) -> None:
    row = np.array(weights) / sum(weights)
    rule = PossibleLabels(dict(zip(LABELS, limits, strict=True)), 0.05)
    possible = possible_sets(row[np.newaxis], LABELS, rule)[0]
    assert possible[row.argmax()]
    assert (possible >= (row >= np.array(limits))).all()


def test_the_figures_of_the_sets_are_counted_as_they_read() -> None:
    rule = PossibleLabels({"covid19": 0.3, "viral_pneumonia": 0.3, "normal": 0.3}, 0.05)
    probabilities = np.array([[0.9, 0.1, 0.0], [0.5, 0.4, 0.1], [0.1, 0.2, 0.7], [0.0, 0.4, 0.6]])
    truth = np.array(["covid19", "viral_pneumonia", "covid19", "normal"])
    figures = conformal_figures(truth, probabilities, LABELS, rule)
    assert figures["coverage"]["correct"] == 3
    assert figures["coverage_of_class"]["covid19"]["correct"] == 1
    assert figures["mean_set_size"] == 1.5
    assert figures["unsure"]["correct"] == 2
    assert (figures["accuracy_where_sure"]["correct"], figures["accuracy_where_sure"]["total"]) == (1, 2)
    assert (figures["accuracy_where_unsure"]["correct"], figures["accuracy_where_unsure"]["total"]) == (1, 2)


# --- curves ---


def test_average_precision_and_its_logit_interval_by_hand() -> None:
    # Precision at each case: 1/1, 2/2, 3/4, 4/7; average (1 + 1 + 0.75 + 0.5714) / 4.
    result = average_precision(POSITIVE, SCORE)
    area = (1 + 1 + 3 / 4 + 4 / 7) / 4
    reach = 1.959964 / np.sqrt(4 * area * (1 - area))
    assert result["value"] == pytest.approx(area, abs=1e-4)
    low, high = result["interval_95"]
    assert logit(low) == pytest.approx(logit(area) - reach, abs=1e-2)
    assert logit(high) == pytest.approx(logit(area) + reach, abs=1e-2)


def test_a_perfect_order_has_an_interval_too_and_one_kind_alone_has_no_curve() -> None:
    perfect = average_precision(POSITIVE, POSITIVE.astype(float))
    assert perfect["value"] == perfect["interval_95"][1] == 1.0
    # Wilson's lower bound for 4 of 4.
    assert perfect["interval_95"][0] == pytest.approx(4 / (4 + 1.959964**2), abs=1e-4)
    alone = POSITIVE[:4]
    assert average_precision(alone, SCORE[:4])["value"] is None
    assert roc_points(alone, SCORE[:4]) is None
    assert precision_recall_points(alone, SCORE[:4]) is None


def test_a_thinned_curve_keeps_its_ends_and_its_area() -> None:
    random = np.random.default_rng(6)
    positive = random.random(5000) < 0.3
    score = random.normal(0, 1, 5000) + 1.5 * positive
    points = roc_points(positive, score)
    assert points is not None
    x, y = np.array(points["false_positive_rate"]), np.array(points["sensitivity"])
    assert len(x) <= 100
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    pairs = (score[positive][:, None] > score[~positive][None, :]).mean()
    assert np.trapezoid(y, x) == pytest.approx(pairs, abs=0.002)
    assert thinned(np.array([0.0, 1.0]), np.array([0.0, 1.0])).tolist() == [0, 1]
