"""What a reader writes and chooses before it is signed: kept, discarded, and ended by the signature."""

from __future__ import annotations

from collections.abc import Mapping

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from diagnosis import policies
from diagnosis.errors import Conflict, NotPossible
from diagnosis.models import ReportDraft, Review, ReviewKind, Study, User
from diagnosis.models.report_draft import DRAFT_CHOICES
from diagnosis.models.report_text import BLANK

CHANGED_ELSEWHERE = gettext_lazy(
    "This draft was changed in another window. Nothing was overwritten: choose which text to keep."
)


class DraftChanged(Conflict):
    """The draft was saved elsewhere since this window loaded it; ``draft`` is how it stands, or ``None`` when it is gone."""

    def __init__(self, draft: ReportDraft | None) -> None:
        super().__init__(CHANGED_ELSEWHERE)
        self.draft = draft


@transaction.atomic
def report_draft_save(
    *,
    author: User,
    study: Study,
    version: int,
    kind: str = ReviewKind.SIGNED,
    basis: Review | None = None,
    **values: str,
) -> ReportDraft:
    """Keep what ``author`` has typed and chosen so far; ``version`` is that of the draft on screen, 0 where there was none.

    ``values`` are any of ``DRAFT_FIELDS``; the others stay. Raises ``DraftChanged`` when another window saved meanwhile,
    ``ValidationError`` for a text that is too long and for a confidence or a reason that does not exist.
    Drafts are not on record: they are nobody's word until they are signed.
    """
    policies.require(author, policies.Act.SIGN_REVIEW, study.site)
    if basis is not None and basis.study_id != study.pk:
        raise ValidationError({"basis": _("This is a report of another study.")})
    Study.objects.select_for_update().get(pk=study.pk)
    draft = ReportDraft.objects.filter(study=study, author=author).first()
    if (draft.version if draft else 0) != version:
        raise DraftChanged(draft)
    draft = draft or ReportDraft(study=study, author=author, version=0)
    _apply(draft, kind=kind, basis=basis, values=values)
    draft.version += 1
    draft.saved_at = timezone.now()
    draft.clean_fields(exclude={"basis"})  # It may be empty, but no form leaves it out.
    draft.save()
    return draft


def _apply(draft: ReportDraft, *, kind: str, basis: Review | None, values: Mapping[str, str]) -> None:
    fits = draft.fits(kind, basis.pk if basis else None)
    if draft.has_text and not fits:
        raise NotPossible(
            _(
                "You have written something else about this study that is not signed. Sign or discard that first."
            )
        )
    if not fits:  # What was chosen for one report says nothing of another.
        values = {**dict.fromkeys(DRAFT_CHOICES, ""), **values}
    draft.kind, draft.basis = kind, basis
    for name, value in values.items():
        setattr(draft, name, value)


@transaction.atomic
def report_draft_discard(*, author: User, study: Study, version: int) -> None:
    """Delete the draft on screen. Raises ``DraftChanged`` when another window saved meanwhile."""
    policies.require(author, policies.Act.SIGN_REVIEW, study.site)
    report_draft_settle(author=author, study=study, version=version)


def report_draft_settle(*, author: User, study: Study, version: int | None) -> None:
    """Delete the draft whose text has just been signed, in the transaction of the signature.

    ``version`` is that of the draft on the signer's screen; ``None``, from a program that knows of no drafts, leaves it.
    Raises ``DraftChanged`` when another window saved a newer one: its text would be signed by nobody and lost.
    """
    if version is None:
        return
    deleted, _unused = ReportDraft.objects.filter(study=study, author=author, version=version).delete()
    if not deleted and (newer := ReportDraft.objects.filter(study=study, author=author).first()):
        raise DraftChanged(newer)


def report_draft_locked(*, author: User, study: Study) -> None:
    """Take out of the draft the label and the confidence that ``author`` has just locked; the words go on.

    The version stays: the window that locked goes on with it.
    """
    ReportDraft.objects.filter(study=study, author=author).update(label="", confidence="")


def report_texts_require(**texts: str) -> dict[str, str]:
    """What is to be signed, without space around it. Raises ``ValidationError`` for a blank that nobody has filled in."""
    open_ones = {
        name: _("There is a blank %(blank)s in the text. Fill it in or take it out, then sign.")
        % {"blank": BLANK}
        for name, text in texts.items()
        if BLANK in text
    }
    if open_ones:
        raise ValidationError(open_ones)
    return {name: text.strip() for name, text in texts.items()}
