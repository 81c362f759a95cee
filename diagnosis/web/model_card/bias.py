"""What the answers come from besides the lungs, and where the maps point."""

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
    per_cent,
    rows_of,
    share,
    words,
)

SHOWN = {
    "all": gettext_lazy("the whole image"),
    "borders": gettext_lazy("the borders alone"),
    "only_lungs": gettext_lazy("the lungs alone"),
    "no_lungs": gettext_lazy("all but the lungs"),
}
COVERED = {
    "edges": gettext_lazy("the edges covered"),
    "letters": gettext_lazy("letters and markers covered"),
    "letters_mirrored": gettext_lazy("as much covered elsewhere"),
}


def bias(card: Card) -> Section:
    block = card.at("bias")
    tried: list[Row] = []
    for key, names in (("shown", SHOWN), ("covered", COVERED), ("drawn", {})):
        tried += [
            (
                _("Drawn in: %(what)s") % {"what": words(name)}
                if key == "drawn"
                else str(names.get(name, words(name))),
                share(entry.get("accuracy")),
                area(at(entry, "auroc", "all")),
                share(entry.get("answers_changed"), counts=False),
            )
            for name, entry in entries(block, key)
        ]
    sources = [
        (
            card.name(code),
            _predicted(entry.get("features")),
            _predicted(entry.get("simple_statistics")),
            decimals(at(entry, "simple_statistics", "chance")),
        )
        for code, entry in entries(block, "source_predicted")
    ]
    pairs = [(words(pair), area(entry)) for pair, entry in entries(block, "auroc_by_source")]
    inside = [
        (
            card.name(code),
            count(entry.get("images")),
            per_cent(entry.get("mean")),
            per_cent(entry.get("lungs_share_of_area")),
        )
        for code, entry in entries(block, "evidence_inside_lungs")
    ]
    by_group = [
        (words(attribute), words(value), share(entry.get("accuracy")))
        for attribute, values in entries(block, "groups")
        for value, entry in entries(values)
    ]
    return Section(
        "bias",
        _("Bias"),
        _(
            "A network can tell diseases apart by what has nothing to do with them: the machine, the letters, the "
            "frame, the age. "
            "Shown the borders alone, or all but the lungs, an honest network would do no better than a coin (area "
            "0.5). Every bit "
            "above that is learnt from the hospital and not from the disease."
        ),
        tables=rows_of(
            Table(
                _("The same images, changed"),
                (_("Shown"), _("Right label"), _("Area, COVID-19 against normal"), _("Answers changed")),
                tried,
            )
        )
        + rows_of(
            Table(
                _("Can the hospital be read off an image of one class? (share named rightly)"),
                (_("Class"), _("From what the network found"), _("From simple statistics"), _("Chance")),
                sources,
            )
        )
        + rows_of(
            Table(_("COVID-19 against normal, by pair of sources"), (_("Pair"), _("Area under ROC")), pairs)
        )
        + rows_of(
            Table(
                _("Share of the evidence for COVID-19 that lies inside the lungs"),
                (_("Class"), _("Images"), _("Inside"), _("A map without aim")),
                inside,
            )
        )
        + rows_of(Table(_("By group"), (_("Attribute"), _("Group"), _("Right label")), by_group)),
    )


def _predicted(entry: object) -> str:
    return area({"value": at(entry, "balanced_accuracy"), "interval_95": at(entry, "interval_95")})


def explanation(card: Card) -> Section:
    block = card.at("explanation")
    rows = [
        row
        for key, kind in (("maps", "map"), ("controls", "control"))
        for name, subsets in entries(block, key)
        for row in _pointing(name, kind, subsets, served=at(block, "served"))
    ]
    images = at(block, "cases", "images")
    facts = [(_("Images with outlines by radiologists"), count(images))] if images is not None else []
    return Section(
        "explanation",
        _("Explanation"),
        _(
            "Whether “where the network looked” points at the disease: how often the strongest place lies inside a radiologist's "
            "outline of a lesion, and how much of the map lies in lesions and in the lungs. A map is worth looking at "
            "only where it "
            "does better than the controls, which know nothing of the image. Even then it does not outline a finding."
        ),
        facts=facts,
        tables=rows_of(
            Table(
                _("Maps and controls against radiologists' outlines"),
                (
                    _("Map"),
                    _("Strongest place in a lesion"),
                    _("Of the map in lesions"),
                    _("Of the map in the lungs"),
                ),
                rows,
            )
        ),
    )


def _pointing(name: str, kind: str, subsets: dict[str, object], *, served: object) -> list[Row]:
    figures = at(subsets, "all") or next(iter(subsets.values()), None)
    pointing = share(at(figures, "pointing"))
    if pointing == not_measured():
        return []
    title = words(name)
    if name == served:
        title = _("%(title)s (the map that is shown)") % {"title": title}
    elif kind == "control":
        title = _("Control: %(title)s") % {"title": title}
    return [(title, pointing, _mass(figures, "mass_in_lesions"), _mass(figures, "mass_in_lungs"))]


def _mass(figures: object, key: str) -> str:
    entry = at(figures, key)
    return share(entry) if isinstance(entry, dict) else per_cent(entry)
