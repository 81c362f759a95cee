"""The card of a model as a page: every figure with its interval, every gap said, whatever shape the card has."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from django.urls import reverse

from diagnosis.web.model_card import CardPage
from ml.data.split import AUXILIARY, TEST, UNSEEN, VALIDATION
from ml.evaluation.evaluate import Answers, decide, evaluate
from tests.factories import LABELS, ModelPictureFactory, ModelVersionFactory
from tests.web.pages import html, text

ZOO = Path(__file__).resolve().parents[2] / "ml" / "zoo"
CODES = [label["code"] for label in LABELS]
PICTURES = ["classes", "confusion", "intensity", "precision-recall", "reliability", "roc", "training"]


def share(value: float) -> dict[str, Any]:
    return {
        "value": value,
        "interval_95": [value - 0.1, value + 0.1],
        "correct": int(100 * value),
        "total": 100,
    }


def area(value: float) -> dict[str, Any]:
    return {"value": value, "interval_95": [value - 0.05, value + 0.05]}


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    """A card of format 2: its figures come from the code that measures models, on made-up answers to 400 images."""
    random = np.random.default_rng(5)
    rows = pd.DataFrame(
        {
            "split": np.repeat([VALIDATION, TEST, AUXILIARY + TEST, UNSEEN], 100),
            "label": np.tile([*CODES, "covid19"], 100),
            "source": np.tile(["one", "two"], 200),
            "age_group": np.tile(["adult", "", "child", "adult"], 100),
        }
    )
    rows.loc[rows["split"] == AUXILIARY + TEST, "label"] = "tuberculosis"
    number = np.array([CODES.index(code) if code in CODES else 0 for code in rows["label"]])
    logits = random.normal(size=(400, 3)) + 2.5 * np.eye(3)[number]
    exponents = np.exp(logits)
    probabilities = exponents / exponents.sum(axis=1, keepdims=True)
    answers = Answers(rows, CODES, logits, probabilities, 2 * random.random(400))
    card: dict[str, Any] = {
        "format": 2,
        "name": "covid3",
        "version": "2.0.0",
        "labels": LABELS,
        "created": "2026-01-02T03:04:05+00:00",
        "limits": ["It has seen no <b>children</b>.", "It knows three classes."],
        "operating_point": {"rule": "argmax"},
        **decide(answers, 1.3),
    }
    card |= evaluate(answers, card)
    card["hold_out"] = [
        {
            "protocol": {"left_out": ["one", "normal/two"], "control": "borders"},
            "auroc": {"inside": {"one against two": area(0.9)}, "left_out": {"one against two": area(0.7)}},
        }
    ]
    card["bias"] = {
        "shown": {
            "borders": {"accuracy": share(0.6), "auroc": {"all": area(0.71)}, "answers_changed": share(0.3)}
        },
        "covered": {
            "letters": {"accuracy": share(0.9), "auroc": {"all": area(0.95)}, "answers_changed": share(0.1)}
        },
        "drawn": {
            "arrow": {"accuracy": share(0.9), "auroc": {"all": area(0.94)}, "answers_changed": share(0.1)}
        },
        "source_predicted": {
            "normal": {
                "features": {"balanced_accuracy": 0.84, "interval_95": [0.8, 0.88], "chance": 0.5},
                "simple_statistics": {"balanced_accuracy": 0.9, "interval_95": [0.88, 0.92], "chance": 0.5},
            }
        },
        "auroc_by_source": {"all": area(0.98)},
        "evidence_inside_lungs": {"covid19": {"images": 40, "mean": 0.61, "lungs_share_of_area": 0.33}},
        "groups": {"sex": {"F": {"accuracy": share(0.93), "sensitivity": {}}}},
    }
    card["explanation"] = {
        "served": "class_activation",
        "cases": {"images": 60},
        "maps": {
            "class_activation": {
                "all": {"pointing": share(0.77), "mass_in_lesions": area(0.42), "mass_in_lungs": area(0.66)}
            }
        },
        "controls": {
            "centre": {"all": {"pointing": share(0.2)}},
            "random weights": {"all": {"pointing": {"value": 0.25}, "mass_in_lesions": 0.2}},
        },
    }
    return json.loads(json.dumps(card))


@pytest.fixture
def version(db, measured):
    version = ModelVersionFactory(version="2.0.0", card=measured)
    for name in PICTURES:
        ModelPictureFactory(model_version=version, name=name)
    return version


@pytest.fixture
def page(browser, doctor, version):
    return browser(doctor).get(reverse("web:model", args=[version.pk]))


def sections(page: CardPage) -> dict[str, Any]:
    return {section.slug: section for section in page.sections}


def test_every_heading_is_there_and_nothing_is_left_unmeasured(page):
    shown = text(page)
    for title in (
        "Summary", "Mechanism", "Validation and performance", "By source and age group", "Hospitals never seen",
        "Other diseases", "Trained again without a source", "Calibration", "Operating points", "When it says “Unsure”",
        "Bias", "Explanation", "Uses and non-uses", "Warnings", "Data",
    ):  # fmt: skip
        assert title in shown
    unmeasured = [s.slug for s in page.context["page"].sections if not s.is_measured]
    assert unmeasured == []


def test_a_share_stands_with_its_interval_and_counts(page, measured):
    found = measured["metrics"]["test"]["classes"]["covid19"]["sensitivity"]
    low, high = found["interval_95"]
    expected = f"{100 * found['value']:.1f} % ({100 * low:.1f} to {100 * high:.1f}), {found['correct']} of {found['total']}"
    assert f"COVID-19 {expected}" in text(page)


@pytest.mark.parametrize(
    "words",
    [
        "the borders alone 60.0 % (50.0 to 70.0), 60 of 100 0.710 (0.660 to 0.760)",
        "Normal 0.840 (0.800 to 0.880) 0.900 (0.880 to 0.920) 0.500",
        "class activation (the map that is shown) 77.0 %",
        "Control: centre 20.0 %",
        "one, normal/two borders left out one against two 0.700 (0.650 to 0.750)",
        "COVID-19 40 61.0 % 33.0 %",
        "tuberculosis",
    ],
)
def test_bias_explanation_and_held_out_sources_are_figures_on_the_page(page, words):
    assert words in text(page)


def test_the_share_of_images_that_would_be_refused_is_said_beside_each_set(page, measured):
    assert measured["metrics"]["test"]["unfamiliar"]["total"] == 100
    assert text(page).count("Would be refused as unlike all it knows") == 3


def test_the_limits_are_text_and_the_first_stands_on_top(page):
    shown = text(page)
    assert shown.index("It has seen no <b>children</b>.") < shown.index("Summary")
    assert shown.count("It has seen no <b>children</b>.") == 2
    assert "<b>children" not in html(page)


def test_each_plot_is_a_picture_whose_alternative_text_states_its_figure(page, measured):
    shown = {
        picture.name: " ".join(picture.alt.split())
        for section in page.context["page"].sections
        for picture in section.pictures
    }
    assert sorted(shown) == PICTURES
    error = measured["calibration"]["test"]["after"]["expected_calibration_error"]
    assert f"{error:.3f} after temperature scaling" in shown["reliability"]
    right = measured["metrics"]["test"]["accuracy"]
    assert f"{right['correct']} of {right['total']}" in shown["confusion"]
    assert (
        f"COVID-19 {measured['metrics']['test']['classes']['covid19']['auroc_against_the_rest']['value']:.3f}"
        in shown["roc"]
    )


def test_a_plot_that_has_no_place_of_its_own_is_shown_all_the_same(measured):
    more = sections(CardPage.of(measured, ["occlusion_test"]))["pictures"]
    assert [picture.name for picture in more.pictures] == ["occlusion_test"]


def test_scores_are_called_calibrated_only_where_the_card_says_so(measured):
    said = "calibrated on its own hospitals' images"
    assert said in sections(CardPage.of(measured, []))["calibration"].plain
    without = {key: value for key, value in measured.items() if key != "calibration"}
    calibration = sections(CardPage.of(without, []))["calibration"]
    assert said not in calibration.plain
    assert "read no score as a chance" in calibration.plain
    assert not calibration.is_measured


def test_what_was_not_measured_is_said(browser, doctor):
    version = ModelVersionFactory(card={"format": 1, "labels": LABELS, "limits": []})
    shown = text(browser(doctor).get(reverse("web:model", args=[version.pk])))
    assert shown.count("Not measured for this model.") >= 9
    assert "always names one label" in shown


def test_the_card_of_every_committed_model_renders(browser, doctor):
    cards = [json.loads(path.read_bytes()) for path in sorted(ZOO.glob("*/card.json"))]
    classifiers = [card for card in cards if "labels" in card]
    assert classifiers
    for card in classifiers:
        version = ModelVersionFactory(
            name=card["name"], version=card["version"], labels=card["labels"], card=card, is_active=False
        )
        shown = text(browser(doctor).get(reverse("web:model", args=[version.pk])))
        assert card["limits"][0] in shown
        assert "Right label on the test images not measured" not in shown


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to everything in nested lists and dictionaries; of a list only to its first."""
    inside = (
        value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    )
    for key, inner in inside:
        yield (*path, key)
        yield from places(inner, (*path, key))


@pytest.mark.parametrize(
    "strange", [None, "a word", 3, True, [], {}, [None], {"value": "x", "interval_95": 7}]
)
def test_a_card_with_anything_missing_or_strange_still_makes_a_page(measured, strange):
    measured = copy.deepcopy(measured)
    for entry in measured["metrics"]["test"]["classes"].values():
        entry["roc"] = entry["precision_recall"] = {}  # Long, and drawn in the plots alone.
    for path in places(measured):
        card = copy.deepcopy(measured)
        holder = card
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = strange
        assert CardPage.of(card, PICTURES).sections, path


def test_the_models_page_names_the_active_one_first(browser, doctor):
    ModelVersionFactory(name="older", is_active=False)
    ModelVersionFactory(name="active")
    shown = text(browser(doctor).get(reverse("web:models")))
    assert shown.index("active 0.0.1 Active") < shown.index("older 0.0.1 Earlier")


def test_an_opinion_leads_to_the_card_of_the_model_that_gave_it(browser, doctor, study, prediction):
    page = html(browser(doctor).get(reverse("web:study", args=[study.pk])))
    assert reverse("web:model", args=[prediction.model_version.pk]) in page


def test_all_figures_can_be_had_as_json(browser, doctor, version, measured):
    assert browser(doctor).get(reverse("web:model_card", args=[version.pk])).json() == measured


@pytest.mark.parametrize(
    "name", ["nothing", "Confusion", "..%2Fcard", "%2e%2e%2f%2e%2e%2fcard.json", "../card.json"]
)
def test_no_other_file_is_had_by_a_pictures_address(browser, doctor, version, name):
    assert browser(doctor).get(f"/models/{version.pk}/pictures/{name}.png").status_code == 404


def test_a_picture_is_a_png_and_nothing_else_whatever_a_browser_thinks(browser, doctor, version):
    response = browser(doctor).get(reverse("web:model_picture", args=[version.pk, "roc"]))
    assert (response["Content-Type"], response["X-Content-Type-Options"]) == ("image/png", "nosniff")


@pytest.mark.parametrize("pk", [0, 10**9, 10**30])
def test_a_model_that_does_not_exist_is_not_found(browser, doctor, pk):
    assert browser(doctor).get(f"/models/{pk}/").status_code == 404
