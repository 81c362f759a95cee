"""The page as a whole: the headings in the order of a reader's questions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext, gettext_lazy, pgettext
from django.utils.translation import gettext as _

from diagnosis.web.model_card import bias, performance
from diagnosis.web.model_card.card import Card
from diagnosis.web.model_card.parts import (
    Picture,
    Row,
    Section,
    Table,
    at,
    count,
    decimals,
    entries,
    not_measured,
    number,
    rows_of,
    share,
    texts,
    words,
)

#: What the makers of a model wrote into its card.
CARD_LANGUAGE = "en"
FOR = gettext_lazy("a second opinion beside a radiologist on a frontal chest X-ray")
NOT_FOR = (
    gettext_lazy("a diagnosis, or any decision without a radiologist"),
    gettext_lazy("ruling a disease out"),
    gettext_lazy("patients in whom a disease that is none of its labels is likely"),
    gettext_lazy("grading a disease, or following it over time"),
    gettext_lazy("lateral views, CT, photographs or screenshots of films"),
)


@dataclass(frozen=True, slots=True)
class CardPage:
    """``first_limit`` stands on top: what a reader must know who reads nothing else."""

    sections: list[Section]
    first_limit: str

    @classmethod
    def of(cls, card: dict[str, Any], pictures: list[str]) -> CardPage:
        """``card`` may be of any format; ``pictures`` are the names of those on record."""
        labels = card.get("labels")
        known = [label for label in labels if isinstance(label, dict)] if isinstance(labels, list) else []
        names = {str(label.get("code", "")): gettext(str(label.get("display", ""))) for label in known}
        looked_up = Card(card, names, frozenset(pictures))
        sections = [build(looked_up) for build in SECTIONS]
        shown = {picture.name for section in sections for picture in section.pictures}
        more = _more(sorted(set(pictures) - shown))
        return cls([*sections, *more], next(iter(texts(card, "limits")), ""))


def _summary(card: Card) -> Section:
    labels = list(card.names.values())
    facts = [
        (_("Its labels"), ", ".join(labels)),
        (pgettext("model", "Made"), str(card.at("created") or not_measured())[:10]),
        (_("Right label on the test images"), share(card.at("metrics", "test", "accuracy"))),
        (
            _("Calibration error, test"),
            decimals(card.at("calibration", "test", "after", "expected_calibration_error")),
        ),
        (_("Unsure, test"), share(card.at("conformal", "test", "unsure"))),
    ]
    return Section(
        "summary",
        _("Summary"),
        _(
            "It looks at one frontal chest X-ray and divides its belief among %(labels)s labels, with a map "
            "of the places that speak for each. A second opinion for a radiologist who decides: not a "
            "diagnosis, and no medical device."
        )
        % {"labels": len(labels)},
        facts=facts,
    )


def _mechanism(card: Card) -> Section:
    training = card.at("training")
    size = number(at(training, "configuration", "size"))
    differences = card.at("runtime_parity", "largest_difference")
    largest = (
        max(filter(None, map(number, differences.values())), default=None)
        if isinstance(differences, dict)
        else None
    )
    facts = [
        (
            _("Looks at"),
            _("%(size)s × %(size)s grey pixels") % {"size": f"{size:.0f}"} if size else not_measured(),
        ),
        (_("Parameters"), count(at(training, "parameters"))),
        (_("Passes over the training images"), count(at(training, "epochs_run"))),
        (
            _("Largest difference between the served and the trained network"),
            f"{largest:.0e}" if largest else not_measured(),
        ),
    ]
    epochs, kept = count(at(training, "epochs_run")), count(at(training, "kept_epoch"))
    return Section(
        "mechanism",
        _("Mechanism"),
        _(
            "A network of many small filters that it learnt from labelled images; nobody told it what to look for. Its "
            "last layer "
            "gives every label a map of the image, and the mean of that map is what makes the label's score. So the "
            "map shows what "
            "was used, and not a guess at it afterwards."
        ),
        facts=[fact for fact in facts if fact[1] != not_measured()],
        pictures=card.picture(
            "training",
            _("Loss and accuracy while it learnt"),
            _("Training curves over %(epochs)s passes; the weights are those of pass %(kept)s.")
            % {"epochs": epochs, "kept": kept},
        ),
    )


def _uses(card: Card) -> Section:
    uses = texts(card.data, "uses") or [str(FOR)]
    non_uses = texts(card.data, "non_uses") or [str(use) for use in NOT_FOR]
    return Section(
        "uses",
        _("Uses and non-uses"),
        _("What it was made for, and what nobody may use it for."),
        points=[
            *(_("For: %(use)s.") % {"use": use} for use in uses),
            *(_("Not for: %(use)s.") % {"use": use} for use in non_uses),
        ],
    )


def _warnings(card: Card) -> Section:
    return Section(
        "warnings",
        _("Warnings"),
        _("What its makers know to be wrong with it. Read all of it before you lean on an answer."),
        points=texts(card.data, "limits"),
        language=CARD_LANGUAGE,
    )


def _data(card: Card) -> Section:
    data = card.at("data")
    sources: list[Row] = []
    listed = at(data, "sources")
    for source in listed if isinstance(listed, list) else []:
        images = at(source, "images")
        counts = (
            ", ".join(f"{card.name(code)} {count(value)}" for code, value in images.items())
            if isinstance(images, dict)
            else ""
        )
        sources.append(
            (
                str(at(source, "published") or at(source, "name") or ""),
                counts,
                str(at(source, "licence") or ""),
            )
        )
    sides = [
        (said, *(count(counts.get(code, 0)) for code in card.names))
        for side, said in (("train", _("training")), ("validation", _("validation")), ("test", _("test")))
        for name, counts in entries(data, "images")
        if name == side
    ]
    per_class = "; ".join(f"{side} {', '.join(cells)}" for side, *cells in sides)
    return Section(
        "data",
        _("Data"),
        _(
            "What it learnt from and what it was tried on. Images of one patient, and images that are nearly the same, "
            "lie on one "
            "side. No image of a patient is part of the model."
        ),
        tables=rows_of(Table(_("Sources"), (_("Published as"), _("Images"), _("Terms")), sources))
        + rows_of(Table(_("Images by use"), (_("Use"), *card.names.values()), sides)),
        pictures=card.picture(
            "classes",
            _("Images of each class"),
            _("Number of images of each class: %(per_class)s.") % {"per_class": per_class},
        )
        + card.picture(
            "intensity",
            _("Grey values by class and source"),
            _(
                "Distribution of grey values for each of %(sources)s sources, by class. Where the curves of two "
                "sources differ, a network can tell the sources apart without looking at a lung."
            )
            % {"sources": len(sources)},
        ),
    )


def _more(names: list[str]) -> list[Section]:
    if not names:
        return []
    return [
        Section(
            "pictures",
            _("More pictures"),
            _("Pictures of the card that have no place above."),
            pictures=[
                Picture(name, words(name).capitalize(), _("Plot: %(words)s.") % {"words": words(name)})
                for name in names
            ],
        )
    ]


SECTIONS = (
    _summary,
    _mechanism,
    performance.validation,
    performance.groups,
    performance.unseen,
    performance.other_findings,
    performance.hold_out,
    performance.calibration,
    performance.operating_points,
    performance.unsure,
    bias.bias,
    bias.explanation,
    _uses,
    _warnings,
    _data,
)
