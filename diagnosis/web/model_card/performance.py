"""How good the model is, on what it was measured: test, groups, calibration, operating points, "unsure"."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from diagnosis.web.model_card.card import Card
from diagnosis.web.model_card.parts import (
    Row,
    Section,
    Table,
    area,
    at,
    count,
    decimals,
    entries,
    not_measured,
    number,
    per_cent,
    rows_of,
    share,
    texts,
    words,
)

AIMS = {"sensitivity": gettext_lazy("sensitivity"), "specificity": gettext_lazy("specificity")}
# xgettext:no-python-format
INTERVALS = gettext_lazy("Figures in brackets are 95 % intervals.")


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
        (_("Right label on the test images"), accuracy),
        (_("The same, every class counted alike"), per_cent(at(test, "balanced_accuracy"))),
        *_unfamiliar(test),
    ]
    precision = "; ".join(
        f"{card.name(code)} {decimals(at(entry, 'average_precision', 'value'))}" for code, entry in classes
    )
    return Section(
        "performance",
        _("Validation and performance"),
        _(
            "Sensitivity is the share of the images of a class that get its label; specificity the share of "
            "all other images that do not. The test images took no part in training or in any choice, and "
            "neither did other images of their patients. %(intervals)s They hold chance alone: at another "
            "hospital the figures may be far outside them."
        )
        % {"intervals": INTERVALS},
        facts=facts if test else [],
        tables=rows_of(
            Table(
                _("Test images, by class"),
                (_("Class"), _("Sensitivity"), _("Specificity"), _("Area under ROC")),
                rows,
            )
        )
        + rows_of(_confusion(card)),
        pictures=card.picture(
            "confusion",
            _("What the test images were called"),
            _("Confusion matrix of the test: right label for %(accuracy)s.") % {"accuracy": accuracy},
        )
        + card.picture(
            "roc",
            _("Sensitivity against false alarms"),
            _("ROC curves of the test. Areas: %(areas)s.") % {"areas": areas},
        )
        + card.picture(
            "precision-recall",
            _("How often a label is right, against how many it finds"),
            _("Precision-recall curves of the test. Average precision: %(precision)s.")
            % {"precision": precision},
        ),
    )


def _unfamiliar(block: object) -> list[Row]:
    """How many of these images the portal would refuse; they are counted in the other figures all the same."""
    refused = share(at(block, "unfamiliar"))
    return [] if refused == not_measured() else [(_("Would be refused as unlike all it knows"), refused)]


def _confusion(card: Card) -> Table:
    matrix = card.at("metrics", "test", "confusion_matrix")
    labels, counts = at(matrix, "labels"), at(matrix, "rows_are_truth")
    head: Row = ()
    rows: list[Row] = []
    if isinstance(labels, list) and isinstance(counts, list):
        head = (_("Truth"), *(_("called %(name)s") % {"name": card.name(code)} for code in labels))
        rows = [
            (card.name(code), *(count(cell) for cell in row))
            for code, row in zip(labels, counts, strict=False)
            if isinstance(row, list)
        ]
    return Table(_("What the test images were called"), head, rows)


def groups(card: Card) -> Section:
    tables = []
    for key, title in (("by_source", _("By source of the images")), ("by_age_group", _("By age group"))):
        rows: list[Row] = []
        for group, entry in entries(card.at("metrics", "test"), key):
            if number(entry.get("value")) is not None:  # Card format 1: one figure for each class and source.
                rows.append((words(group), "", share(entry)))
            rows += [
                (words(group), card.name(code), share(found)) for code, found in entries(entry, "sensitivity")
            ]
        tables += rows_of(Table(title, (_("Group"), _("Class"), _("Sensitivity")), rows))
    return Section(
        "groups",
        _("By source and age group"),
        _(
            "The same test images, each source and age group apart. Where one class comes from one source or one age group "
            "alone, the model may have learnt the source or the age. A figure from few images says little: look at the counts."
        ),
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
    facts: list[Row] = [(_("Images"), count(at(block, "images")))]
    if at(block, "unsure"):
        facts.append((_("Unsure"), share(at(block, "unsure"))))
    facts += _unfamiliar(block)
    tables = rows_of(
        Table(
            _("At hospitals never seen"),
            (_("Class"), _("Sensitivity"), _("Specificity"), _("Area under ROC")),
            rows,
        )
    )
    tables += rows_of(_called(card, _("What their findings were called"), "unseen_source"))
    return Section(
        "unseen",
        _("Hospitals never seen"),
        _(
            "Images of hospitals that gave none for training. This is the fairest guess at how it does in yours, and often much "
            "worse than the test above."
        ),
        level=3,
        facts=facts if block else [],
        tables=tables,
    )


def other_findings(card: Card) -> Section:
    block = card.at("metrics", "other_findings")
    facts = [
        (_("Images"), count(at(block, "images"))),
        (_("Unsure"), share(at(block, "unsure"))),
        *_unfamiliar(block),
    ]
    return Section(
        "other-findings",
        _("Other diseases"),
        _(
            "The model answers with one of its own labels, whatever the disease is. This is what it calls diseases that it does "
            "not know: none of these answers can be right."
        ),
        level=3,
        facts=facts if block else [],
        tables=rows_of(_called(card, _("What other diseases were called"), "other_findings")),
    )


def _called(card: Card, caption: str, block: str) -> Table:
    rows = [
        (card.name(finding), *(count(counts.get(code)) for code in card.names))
        for finding, counts in entries(card.at("metrics", block), "findings_called")
    ]
    return Table(
        caption,
        (_("Finding"), *(_("called %(name)s") % {"name": name} for name in card.names.values())),
        rows,
    )


def hold_out(card: Card) -> Section:
    runs = card.at("hold_out")
    rows = [
        (
            ", ".join(words(source) for source in texts(run, "protocol", "left_out")),
            words(str(at(run, "protocol", "control") or _("none"))),
            _("left out") if where == "left_out" else _("trained on"),
            words(pair),
            area(entry),
        )
        for run in (runs if isinstance(runs, list) else [])
        for where in ("inside", "left_out")
        for pair, entry in entries(run, "auroc", where)
    ]
    head = (_("Left out"), _("Shown only"), _("Measured on sources"), _("Pair"), _("Area under ROC"))
    return Section(
        "hold-out",
        _("Trained again without a source"),
        _(
            "The same kind of network, trained without some sources and measured on them. An area of 1 is perfect, 0.5 "
            "is a coin. "
            "Where the figure falls on the source left out, the difference was learnt from the source and not from the disease."
        ),
        level=3,
        tables=rows_of(Table(_("Areas with a source left out of training"), head, rows)),
    )


def calibration(card: Card) -> Section:
    block = card.at("calibration")
    rows = [
        (
            said,
            decimals(entry.get("expected_calibration_error")),
            decimals(at(entry, "class_wise_calibration_error", "mean")),
            decimals(entry.get("brier_score")),
        )
        for side, when, said in (
            ("validation", "before", _("Validation, before scaling")),
            ("validation", "after", _("Validation, after scaling")),
            ("test", "before", _("Test, before scaling")),
            ("test", "after", _("Test, after scaling")),
        )
        if (entry := at(block, side, when)) and isinstance(entry, dict)
    ]
    after = decimals(at(block, "test", "after", "expected_calibration_error"))
    before = decimals(at(block, "test", "before", "expected_calibration_error"))
    facts = []
    if number(at(block, "temperature")) is not None:
        facts.append((_("Temperature"), decimals(at(block, "temperature"))))
    if at(block, "fitted_on"):
        facts.append((_("Fitted on"), _("%(count)s images") % {"count": at(block, "fitted_on")}))
    plain = (
        _(
            "Whether a score can be read as a chance. The scores of this model are calibrated on its own hospitals' "
            "images: there "
            "0.9 is right in about nine of ten. Where the disease is rarer than among those images, or the images "
            "differ, a score "
            "says more than it should. The error is the mean distance between score and share of right answers; 0 is best."
        )
        if block
        else _(
            "Whether a score can be read as a chance. Nobody measured it for this model: read no score as a chance of disease."
        )
    )
    head = (_("Images"), _("Calibration error"), _("The same, by class"), _("Brier score"))
    return Section(
        "calibration",
        _("Calibration"),
        plain,
        facts=facts,
        tables=rows_of(Table(_("Calibration before and after temperature scaling"), head, rows)),
        pictures=card.picture(
            "reliability",
            _("Score against share of right answers; on the line they agree"),
            _(
                "Reliability plot of the test: calibration error %(before)s before and %(after)s after "
                "temperature scaling."
            )
            % {"before": before, "after": after},
        ),
    )


def operating_points(card: Card) -> Section:
    points = card.at("operating_points")
    rows = [
        (
            card.name(point.get("label")),
            _("%(aim)s of at least %(share)s")
            % {
                "aim": AIMS.get(str(point.get("aim")), point.get("aim")),
                "share": per_cent(point.get("at_least")),
            },
            decimals(point.get("threshold"), 4),
            share(at(point, "test", "sensitivity")),
            share(at(point, "test", "specificity")),
        )
        for point in (points if isinstance(points, list) else [])
        if isinstance(point, dict)
    ]
    rule = card.at("operating_point", "rule")
    shown = (
        {"argmax": _("the class with the highest score")}.get(rule, rule) if isinstance(rule, str) else None
    )
    facts = [(_("The label that is shown"), str(shown))] if shown else []
    read = [
        (card.name(code), share(at(entry, "read_off_at_98_specificity", "sensitivity")))
        for code, entry in entries(card.at("metrics", "test"), "classes")
        if at(entry, "read_off_at_98_specificity")
    ]
    head = (_("Class"), _("Aim"), _("Threshold"), _("Sensitivity, test"), _("Specificity, test"))
    return Section(
        "operating-points",
        _("Operating points"),
        _(
            "A threshold on one class's score, chosen on the validation images and then tried on the test images. The "
            "label on the "
            "study page does not use it. Thresholds belong to this version: never carry one over to another model."
        ),
        facts=facts,
        tables=rows_of(Table(_("Thresholds"), head, rows))
        + rows_of(
            Table(
                _("Read off the test's own curve, which flatters: for comparison with published figures"),
                (
                    _("Class"),
                    # xgettext:no-python-format
                    _("Sensitivity at 98 % specificity"),
                ),
                read,
            )
        ),
    )


def unsure(card: Card) -> Section:
    block = card.at("conformal")
    test = at(block, "test")
    alpha = number(at(block, "alpha"))
    kept = f"{100 * (1 - alpha):.0f} %" if alpha is not None else _("most")
    facts = [
        (_("True label among those named, test"), share(at(test, "coverage"))),
        (_("Unsure, test"), share(at(test, "unsure"))),
        (_("Right where it is sure"), share(at(test, "accuracy_where_sure"))),
        (_("Right where it is unsure"), share(at(test, "accuracy_where_unsure"))),
    ]
    coverage = [(card.name(code), share(entry)) for code, entry in entries(test, "coverage_of_class")]
    thresholds = (
        [(card.name(code), decimals(value, 4)) for code, value in (at(block, "thresholds") or {}).items()]
        if isinstance(at(block, "thresholds"), dict)
        else []
    )
    plain = (
        _(
            "Beside its first label it names every label that it cannot rule out, by a rule that keeps the "
            "right one for %(kept)s of each class's images (split conformal prediction). More than one: the "
            "page says “Unsure”, and there is nothing to confirm. The promise holds for images like those it "
            "was set on. Of a disease that it does not know it can be sure and wrong."
        )
        % {"kept": kept}
        if block
        else _("This model has no rule for saying that it is unsure: it always names one label.")
    )
    return Section(
        "unsure",
        _("When it says “Unsure”"),
        plain,
        facts=[fact for fact in facts if fact[1] != not_measured()],
        tables=rows_of(
            Table(_("True label among those named, test, by class"), (_("Class"), _("Share")), coverage)
        )
        + rows_of(Table(_("A label is possible from this score on"), (_("Class"), _("Score")), thresholds)),
    )
