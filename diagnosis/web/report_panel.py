"""What the study page shows of the report: being written, or signed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy

from diagnosis.models import ReportDraft, Review, ReviewKind, Study, User
from diagnosis.models.report_draft import DRAFT_CHOICES
from diagnosis.selectors.case_record import CaseRecord
from diagnosis.selectors.reports import SECTION_TITLES, ReadyText, ready_texts
from diagnosis.selectors.studies import current_review, reader_labels
from diagnosis.services.signing import signature_is_asked

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

_ROWS = {"findings": 4}


@dataclass(frozen=True, slots=True)
class SectionField:
    name: str
    title: StrOrPromise
    text: str
    rows: int


@dataclass(frozen=True, slots=True)
class ReportEditor:
    """The draft of one's own as it is written; ``basis`` is the version that it follows, if there is one."""

    author: User
    kind: ReviewKind
    basis: Review | None
    draft: ReportDraft | None
    version: int
    ready: list[ReadyText]

    @property
    def sections(self) -> list[SectionField]:
        return [
            SectionField(name, title, getattr(self.draft, name, ""), _ROWS.get(name, 2))
            for name, title in SECTION_TITLES.items()
        ]

    @property
    def saved(self) -> str:
        return saved_words(self.draft) if self.draft and not self.draft.is_empty else ""


def saved_words(draft: ReportDraft) -> str:
    """“14:02”, and the day where it is another one, in the zone of the page."""
    at = timezone.localtime(draft.saved_at)
    return date_format(at, "H:i" if at.date() == timezone.localdate() else "j M Y, H:i")


def report_editor(
    author: User,
    study: Study,
    *,
    kind: ReviewKind,
    basis: Review | None,
    draft: ReportDraft | None,
    studies: Iterable[Study] | None = None,
) -> ReportEditor:
    fits = draft is not None and draft.fits(kind, basis.pk if basis else None)
    return ReportEditor(
        author=author,
        kind=kind,
        basis=basis,
        draft=draft if fits else None,
        version=draft.version if draft else 0,
        ready=ready_texts(study, studies=studies),
    )


@dataclass(frozen=True, slots=True)
class ReportPanel:
    """``editor`` while the reader may sign; ``kept`` is what was written and no editor goes on with; ``signed`` leads to the
    report that others may read too.
    """

    editor: ReportEditor | None
    kept: ReportDraft | None
    kept_lines: list[tuple[StrOrPromise, str]]
    signed: Review | None
    asks_password: bool

    @property
    def key(self) -> str:
        """As long as it is the same, a page that refreshes leaves the panel to whoever writes in it."""
        if self.editor is not None:
            return f"{self.editor.kind}-{self.editor.basis.pk if self.editor.basis else 'first'}"
        return f"{self.kept.version if self.kept else ''}-{self.signed.pk if self.signed else ''}"

    @property
    def is_shown(self) -> bool:
        return bool(self.editor or self.kept or self.signed)


_TITLES: Mapping[str, StrOrPromise] = {
    **SECTION_TITLES,
    "note": gettext_lazy("Note"),
    "addendum": gettext_lazy("Addendum"),
    "change_reason": gettext_lazy("Why the report is corrected"),
}


def kept_lines(draft: ReportDraft, study: Study) -> list[tuple[StrOrPromise, str]]:
    """(name, value) of all that a draft holds, in words."""
    lines: list[tuple[StrOrPromise, str]] = [
        (gettext_lazy("Label"), reader_labels(study).get(draft.label, draft.label)),
        (gettext_lazy("How sure"), draft.get_confidence_display()),
        (gettext_lazy("Reason"), draft.get_reason_display()),
        *((title, getattr(draft, name)) for name, title in _TITLES.items()),
    ]
    return [(title, value) for title, value in lines if value.strip()]


def draft_choices(draft: ReportDraft | None) -> dict[str, str]:
    """What is chosen in the draft of a read, and not yet signed."""
    if draft is None or draft.kind != ReviewKind.SIGNED:
        return {}
    return {name: value for name in DRAFT_CHOICES if (value := getattr(draft, name))}


def report_panel(
    user: User, case: CaseRecord, *, draft: ReportDraft | None, takes_reads: bool, reads_second: bool
) -> ReportPanel:
    """``takes_reads``: the study waits for a read that ``user`` may sign; ``reads_second``: ``user`` has its second read.

    ``draft`` is the own one of ``user``, if there is one.
    """
    study = case.study
    review = None if case.hides_read else current_review(study)
    editor = (
        report_editor(user, study, kind=ReviewKind.SIGNED, basis=review, draft=draft, studies=case.studies)
        if takes_reads or reads_second
        else None
    )
    is_kept = draft is not None and draft.has_text and not (editor and editor.draft)
    return ReportPanel(
        editor=editor if not is_kept else None,
        kept=draft if is_kept else None,
        kept_lines=kept_lines(draft, study) if draft and is_kept else [],
        signed=review,
        asks_password=takes_reads and signature_is_asked(study),
    )
