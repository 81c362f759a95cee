"""How good the model is, on what it was measured: test, groups, calibration, operating points, "unsure"."""

from __future__ import annotations

from diagnosis.web.model_card.card import Card
from diagnosis.web.model_card.parts import (
    NOT_MEASURED,
    Row,
    Section,
    Table,
    area,
    at,
    count,
    decimals,
    entries,
    number,
    per_cent,
    rows_of,
    share,
    texts,
    words,
)

INTERVALS = "Figures in brackets are 95 % intervals."


def validation(card: Card) -> Section:
    test = card.at("metrics", "test")
    classes = list(entries(test, "classes"))
    accuracy = share(at(test, "accuracy"))
    areas = "; ".join(
        f"{card.name(code)} {decimals(at(entry, 'auroc_against_the_rest', 'value'))}"
        for code, entry in classes
    )
    rows = [
        (
            card.name(code),
            share(entry.get("sensitivity")),
            share(entry.get("specificity")),
            area(entry.get("auroc_against_the_rest")),
        )
        for code, entry in classes
    ]
    facts = [
        ("Right label on the test images", accuracy),
        ("The same, every class counted alike", per_cent(at(test, "balanced_accuracy"))),
        *_unfamiliar(test),
    ]
    precision = "; ".join(
        f"{card.name(code)} {decimals(at(entry, 'average_precision', 'value'))}" for code, entry in classes
    )
    return Section(
        "performance",
        "Validation and performance",
        "Sensitivity is the share of the images of a class that get its label; specificity the share of all other images that "
        "do not. The test images took no part in training or in any choice, and neither did other images of their patients. "
        f"{INTERVALS} They hold chance alone: at another hospital the figures may be far outside them.",
        facts=facts if test else [],
        tables=rows_of(
            Table("Test images, by class", ("Class", "Sensitivity", "Specificity", "Area under ROC"), rows)
        )
        + rows_of(_confusion(card)),
        pictures=card.picture(
            "confusion",
            "What the test images were called",
            f"Confusion matrix of the test: right label for {accuracy}.",
        )
        + card.picture("roc", "Sensitivity against false alarms", f"ROC curves of the test. Areas: {areas}.")
        + card.picture(
            "precision-recall",
            "How often a label is right, against how many it finds",
            f"Precision-recall curves of the test. Average precision: {precision}.",
        ),
    )


def _unfamiliar(block: object) -> list[Row]:
    """How many of these images the portal would refuse; they are counted in the other figures all the same."""
    refused = share(at(block, "unfamiliar"))
    return [] if refused == NOT_MEASURED else [("Would be refused as unlike all it knows", refused)]


def _confusion(card: Card) -> Table:
    matrix = card.at("metrics", "test", "confusion_matrix")
    labels, counts = at(matrix, "labels"), at(matrix, "rows_are_truth")
    head: Row = ()
    rows: list[Row] = []
    if isinstance(labels, list) and isinstance(counts, list):
        head = ("Truth", *(f"called {card.name(code)}" for code in labels))
        rows = [
            (card.name(code), *(count(cell) for cell in row))
            for code, row in zip(labels, counts, strict=False)
            if isinstance(row, list)
        ]
    return Table("What the test images were called", head, rows)


def groups(card: Card) -> Section:
    tables = []
    for key, title in (("by_source", "By source of the images"), ("by_age_group", "By age group")):
        rows: list[Row] = []
        for group, entry in entries(card.at("metrics", "test"), key):
            if number(entry.get("value")) is not None:  # Card format 1: one figure for each class and source.
                rows.append((words(group), "", share(entry)))
            rows += [
                (words(group), card.name(code), share(found)) for code, found in entries(entry, "sensitivity")
            ]
        tables += rows_of(Table(title, ("Group", "Class", "Sensitivity"), rows))
    return Section(
        "groups",
        "By source and age group",
        "The same test images, each source and age group apart. Where one class comes from one source or one age group "
        "alone, the model may have learnt the source or the age. A figure from few images says little: look at the counts.",
        level=3,
        tables=tables,
    )


def unseen(card: Card) -> Section:
    block = card.at("metrics", "unseen_source")
    rows = [
        (
            card.name(code),
            share(entry.get("sensitivity")),
            share(entry.get("specificity")),
            area(entry.get("auroc_against_other_findings")),
        )
        for code, entry in entries(block, "classes")
    ]
    facts: list[Row] = [("Images", count(at(block, "images")))]
    if at(block, "unsure"):
        facts.append(("Unsure", share(at(block, "unsure"))))
    facts += _unfamiliar(block)
    tables = rows_of(
        Table("At hospitals never seen", ("Class", "Sensitivity", "Specificity", "Area under ROC"), rows)
    )
    tables += rows_of(_called(card, "What their findings were called", "unseen_source"))
    return Section(
        "unseen",
        "Hospitals never seen",
        "Images of hospitals that gave none for training. This is the fairest guess at how it does in yours, and often much "
        "worse than the test above.",
        level=3,
        facts=facts if block else [],
        tables=tables,
    )


def other_findings(card: Card) -> Section:
    block = card.at("metrics", "other_findings")
    facts = [
        ("Images", count(at(block, "images"))),
        ("Unsure", share(at(block, "unsure"))),
        *_unfamiliar(block),
    ]
    return Section(
        "other-findings",
        "Other diseases",
        "The model answers with one of its own labels, whatever the disease is. This is what it calls diseases that it does "
        "not know: none of these answers can be right.",
        level=3,
        facts=facts if block else [],
        tables=rows_of(_called(card, "What other diseases were called", "other_findings")),
    )


def _called(card: Card, caption: str, block: str) -> Table:
    rows = [
        (card.name(finding), *(count(counts.get(code)) for code in card.names))
        for finding, counts in entries(card.at("metrics", block), "findings_called")
    ]
    return Table(caption, ("Finding", *(f"called {name}" for name in card.names.values())), rows)


def hold_out(card: Card) -> Section:
    runs = card.at("hold_out")
    rows = [
        (
            ", ".join(words(source) for source in texts(run, "protocol", "left_out")),
            words(str(at(run, "protocol", "control") or "none")),
            "left out" if where == "left_out" else "trained on",
            words(pair),
            area(entry),
        )
        for run in (runs if isinstance(runs, list) else [])
        for where in ("inside", "left_out")
        for pair, entry in entries(run, "auroc", where)
    ]
    head = ("Left out", "Shown only", "Measured on sources", "Pair", "Area under ROC")
    return Section(
        "hold-out",
        "Trained again without a source",
        "The same kind of network, trained without some sources and measured on them. An area of 1 is perfect, 0.5 is a coin. "
        "Where the figure falls on the source left out, the difference was learnt from the source and not from the disease.",
        level=3,
        tables=rows_of(Table("Areas with a source left out of training", head, rows)),
    )


def calibration(card: Card) -> Section:
    block = card.at("calibration")
    rows = [
        (
            f"{side.capitalize()}, {when} scaling",
            decimals(entry.get("expected_calibration_error")),
            decimals(at(entry, "class_wise_calibration_error", "mean")),
            decimals(entry.get("brier_score")),
        )
        for side in ("validation", "test")
        for when in ("before", "after")
        if (entry := at(block, side, when)) and isinstance(entry, dict)
    ]
    after = decimals(at(block, "test", "after", "expected_calibration_error"))
    before = decimals(at(block, "test", "before", "expected_calibration_error"))
    facts = []
    if number(at(block, "temperature")) is not None:
        facts.append(("Temperature", decimals(at(block, "temperature"))))
    if at(block, "fitted_on"):
        facts.append(("Fitted on", f"{at(block, 'fitted_on')} images"))
    plain = (
        "Whether a score can be read as a chance. The scores of this model are calibrated on its own hospitals' images: there "
        "0.9 is right in about nine of ten. Where the disease is rarer than among those images, or the images differ, a score "
        "says more than it should. The error is the mean distance between score and share of right answers; 0 is best."
        if block
        else "Whether a score can be read as a chance. Nobody measured it for this model: read no score as a chance of disease."
    )
    head = ("Images", "Calibration error", "The same, by class", "Brier score")
    return Section(
        "calibration",
        "Calibration",
        plain,
        facts=facts,
        tables=rows_of(Table("Calibration before and after temperature scaling", head, rows)),
        pictures=card.picture(
            "reliability",
            "Score against share of right answers; on the line they agree",
            f"Reliability plot of the test: calibration error {before} before and {after} after temperature scaling.",
        ),
    )


def operating_points(card: Card) -> Section:
    points = card.at("operating_points")
    rows = [
        (
            card.name(point.get("label")),
            f"{point.get('aim')} of at least {per_cent(point.get('at_least'))}",
            decimals(point.get("threshold"), 4),
            share(at(point, "test", "sensitivity")),
            share(at(point, "test", "specificity")),
        )
        for point in (points if isinstance(points, list) else [])
        if isinstance(point, dict)
    ]
    rule = card.at("operating_point", "rule")
    shown = {"argmax": "the class with the highest score"}.get(rule, rule) if isinstance(rule, str) else None
    facts = [("The label that is shown", str(shown))] if shown else []
    read = [
        (card.name(code), share(at(entry, "read_off_at_98_specificity", "sensitivity")))
        for code, entry in entries(card.at("metrics", "test"), "classes")
        if at(entry, "read_off_at_98_specificity")
    ]
    head = ("Class", "Aim", "Threshold", "Sensitivity, test", "Specificity, test")
    return Section(
        "operating-points",
        "Operating points",
        "A threshold on one class's score, chosen on the validation images and then tried on the test images. The label on the "
        "study page does not use it. Thresholds belong to this version: never carry one over to another model.",
        facts=facts,
        tables=rows_of(Table("Thresholds", head, rows))
        + rows_of(
            Table(
                "Read off the test's own curve, which flatters: for comparison with published figures",
                ("Class", "Sensitivity at 98 % specificity"),
                read,
            )
        ),
    )


def unsure(card: Card) -> Section:
    block = card.at("conformal")
    test = at(block, "test")
    alpha = number(at(block, "alpha"))
    kept = f"{100 * (1 - alpha):.0f} %" if alpha is not None else "most"
    facts = [
        ("True label among those named, test", share(at(test, "coverage"))),
        ("Unsure, test", share(at(test, "unsure"))),
        ("Right where it is sure", share(at(test, "accuracy_where_sure"))),
        ("Right where it is unsure", share(at(test, "accuracy_where_unsure"))),
    ]
    coverage = [(card.name(code), share(entry)) for code, entry in entries(test, "coverage_of_class")]
    thresholds = (
        [(card.name(code), decimals(value, 4)) for code, value in (at(block, "thresholds") or {}).items()]
        if isinstance(at(block, "thresholds"), dict)
        else []
    )
    plain = (
        f"Beside its first label it names every label that it cannot rule out, by a rule that keeps the right one for {kept} "
        "of each class's images (split conformal prediction). More than one: the page says “Unsure”, and there is nothing to "
        "confirm. The promise holds for images like those it was set on. Of a disease that it does not know it can be sure and "
        "wrong."
        if block
        else "This model has no rule for saying that it is unsure: it always names one label."
    )
    return Section(
        "unsure",
        "When it says “Unsure”",
        plain,
        facts=[fact for fact in facts if fact[1] != NOT_MEASURED],
        tables=rows_of(Table("True label among those named, test, by class", ("Class", "Share"), coverage))
        + rows_of(Table("A label is possible from this score on", ("Class", "Score"), thresholds)),
    )
