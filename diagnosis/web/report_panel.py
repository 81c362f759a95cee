"""What the study page shows of the report: being written, or signed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils import timezone
from django.utils.formats import date_format

from diagnosis.models import ReportDraft, Review, ReviewKind, Study, User
from diagnosis.selectors.cases import hides_read
from diagnosis.selectors.reports import SECTION_TITLES, ReadyText, own_draft, ready_texts
from diagnosis.selectors.studies import current_review
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
        return saved_words(self.draft) if self.draft and self.draft.has_text else ""


def saved_words(draft: ReportDraft) -> str:
    """“14:02”, and the day where it is another one, in the zone of the page."""
    at = timezone.localtime(draft.saved_at)
    return date_format(at, "H:i" if at.date() == timezone.localdate() else "j M Y, H:i")


def report_editor(
    author: User, study: Study, *, kind: ReviewKind, basis: Review | None, draft: ReportDraft | None
) -> ReportEditor:
    fits = draft is not None and draft.fits(kind, basis.pk if basis else None)
    return ReportEditor(
        author=author,
        kind=kind,
        basis=basis,
        draft=draft if fits else None,
        version=draft.version if draft else 0,
        ready=ready_texts(study),
    )


@dataclass(frozen=True, slots=True)
class ReportPanel:
    """``editor`` while the reader may sign; ``kept`` is what was written and no editor goes on with; ``signed`` leads to the
    report that others may read too.
    """

    editor: ReportEditor | None
    kept: ReportDraft | None
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


def report_panel(user: User, study: Study, *, takes_reads: bool, is_reader: bool) -> ReportPanel:
    """``takes_reads``: the study waits for a read that ``user`` may sign."""
    review = None if hides_read(user, study) else current_review(study)
    draft = own_draft(user, study) if is_reader else None
    editor = (
        report_editor(user, study, kind=ReviewKind.SIGNED, basis=review, draft=draft) if takes_reads else None
    )
    is_kept = draft is not None and draft.has_text and not (editor and editor.draft)
    return ReportPanel(
        editor=editor if not is_kept else None,
        kept=draft if is_kept else None,
        signed=review,
        asks_password=takes_reads and signature_is_asked(study),
    )
