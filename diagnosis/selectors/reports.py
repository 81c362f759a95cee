"""Reports as they are read: the versions of a signed one, the draft of one's own, the words that are kept ready."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy

from diagnosis.models import ReportDraft, ReportText, Review, ReviewKind, Study, User
from diagnosis.models.report_text import placeholders_fill
from diagnosis.selectors.cases import hides_read
from diagnosis.selectors.differences import Passage, difference
from diagnosis.selectors.studies import reviews_shown

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

SECTION_TITLES: Mapping[str, StrOrPromise] = {
    "comparison": gettext_lazy("Comparison"),
    "findings": gettext_lazy("Findings"),
    "impression": gettext_lazy("Impression"),
}
"""In the order in which a report is read."""

#: What a version may differ in, with its name. What tells of the second opinion goes through ``_tells``.
_COMPARED: Mapping[str, StrOrPromise] = {
    "label_display": gettext_lazy("Label"),
    "reason": gettext_lazy("Reason"),
    "note": gettext_lazy("Note"),
    **SECTION_TITLES,
    "addendum": gettext_lazy("Addendum"),
}


@dataclass(frozen=True, slots=True)
class Changed:
    title: StrOrPromise
    passages: list[Passage]


@dataclass(frozen=True, slots=True)
class Version:
    """One signed version of a report; ``changes`` are against the one before, and empty for the first."""

    number: int
    review: Review
    changes: list[Changed]
    is_current: bool

    @property
    def tells_opinion(self) -> bool:
        """Whether decision, reason and what was seen may reach the viewer."""
        return bool(getattr(self.review, "ai_shown", False))

    @property
    def status(self) -> str:
        """FHIR DiagnosticReport.status of this version, in words for people."""
        return str(_STATUSES[ReviewKind(self.review.kind)])


_STATUSES = {
    ReviewKind.SIGNED: gettext_lazy("Final"),
    ReviewKind.ADDENDUM: gettext_lazy("Final, with an addendum"),
    ReviewKind.CORRECTION: gettext_lazy("Corrected"),
}


def report_versions(study: Study, *, viewer: User) -> list[Version]:
    """The signed versions, oldest first, as ``viewer`` may see them: none to whom the reads are hidden."""
    if hides_read(viewer, study):
        return []
    signed = Review.objects.filter(study=study).select_related("study__site", "study__patient")
    reviews = _in_order(reviews_shown(signed, viewer=viewer))
    return [
        Version(
            number=number,
            review=review,
            changes=_changes(reviews[number - 2], review) if number > 1 else [],
            is_current=number == len(reviews),
        )
        for number, review in enumerate(reviews, start=1)
    ]


def _in_order(reviews: Iterable[Review]) -> list[Review]:
    """Each after the one that it follows: two may bear the same time."""
    following = {review.follows_id: review for review in reviews}
    ordered: list[Review] = []
    place = None
    while (review := following.get(place)) is not None:
        ordered.append(review)
        place = review.pk
    return ordered


def _changes(old: Review, new: Review) -> list[Changed]:
    changed = []
    for name, title in _COMPARED.items():
        if name == "addendum":
            # Another addendum does not replace the last one, which stays where it was signed.
            was, became = "", new.addendum
        elif name == "reason":
            shown = getattr(new, "ai_shown", False)
            was, became = (old.get_reason_display(), new.get_reason_display()) if shown else ("", "")
        else:
            was, became = getattr(old, name), getattr(new, name)
        if was != became:
            changed.append(Changed(title, difference(was, became)))
    return changed


def addenda_of(versions: Iterable[Version]) -> list[Review]:
    """What was added to the report that stands: a later full read begins a new one."""
    added: list[Review] = []
    for version in versions:
        if version.review.kind == ReviewKind.SIGNED:
            added = []
        elif version.review.kind == ReviewKind.ADDENDUM:
            added.append(version.review)
    return added


def own_draft(author: User, study: Study) -> ReportDraft | None:
    return ReportDraft.objects.filter(author=author, study=study).select_related("basis").first()


@dataclass(frozen=True, slots=True)
class ReadyText:
    """A text of the hospital with what is known about the study filled in. ``sections`` is empty for a block."""

    code: str
    name: str
    sections: dict[str, str]
    block: str

    @property
    def beginning(self) -> str:
        """Its first words, to tell it from the others."""
        text = self.block or " ".join(self.sections.values())
        return text if len(text) <= 80 else f"{text[:79]}…"


def ready_texts(study: Study, *, studies: Iterable[Study] | None = None) -> list[ReadyText]:
    """``studies`` are all of the patient, where they are known already."""
    texts = list(ReportText.objects.filter(site=study.site))
    if texts and studies is None:
        studies = Study.objects.filter(patient=study.patient_id)
    values = _values(study, studies) if texts and studies is not None else {}
    return [
        ReadyText(
            code=text.code,
            name=text.name,
            sections={
                section: placeholders_fill(getattr(text, section), values)
                for section in SECTION_TITLES
                if getattr(text, section)
            },
            block=placeholders_fill(text.block, values),
        )
        for text in texts
    ]


def _values(study: Study, studies: Iterable[Study]) -> dict[str, str]:
    """What a placeholder stands for; empty where nobody knows."""
    patient, zone = study.patient, study.site.tzinfo
    taken = timezone.localdate(study.performed_at, zone) if study.performed_at else None
    age = patient.age_on(taken or timezone.localdate(study.created_at, zone))
    previous = max((other.time for other in studies if other.time < study.time), default=None)
    return {
        "age": "" if age is None else str(age),
        "sex": patient.get_sex_display().lower(),
        "date": date_format(taken, "j M Y") if taken else "",
        "previous": date_format(timezone.localtime(previous, zone), "j M Y") if previous else "",
    }
