"""Opening a signed report, on the screen or on paper: each goes on record."""

from __future__ import annotations

import logging

import typst
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from diagnosis import policies
from diagnosis.errors import NotPossible
from diagnosis.models import AuditAction, Review, Study, User
from diagnosis.pdf.typesetting import report_pdf
from diagnosis.selectors.report_document import report_document
from diagnosis.selectors.reports import Version, report_versions
from diagnosis.services.audit import audit_record

logger = logging.getLogger(__name__)

HIDDEN = gettext_lazy(
    "This report is hidden from you while you can read the study second. Read it without knowing what the first reader "
    "signed; the report is shown afterwards."
)
NOT_SIGNED = gettext_lazy("This study has no signed report yet.")


@transaction.atomic
def report_open(*, actor: User, study: Study) -> list[Version]:
    """All versions of the report, oldest first. Raises ``NotPossible`` where there is none that ``actor`` may see."""
    versions = _versions(actor, study)
    _audit(actor, AuditAction.REPORT_OPENED, versions[-1])
    return versions


def report_print(*, actor: User, review: Review) -> bytes:
    """The PDF of one version. Raises ``NotPossible`` where ``actor`` may not see it, or it cannot be set."""
    versions = _versions(actor, review.study)
    (version,) = (known for known in versions if known.review.pk == review.pk)
    try:
        content = report_pdf(report_document(version, versions, viewer=actor))
    except (typst.TypstError, FileNotFoundError) as error:
        # Not its text: it may quote the report.
        logger.error(
            "A report could not be set as PDF.",
            extra={"review": str(review.pk), "error": type(error).__name__},
        )
        raise NotPossible(
            _(
                "The PDF could not be made because of a technical error. The report itself is safe: read it here on the page, "
                "and tell an administrator."
            )
        ) from None
    _audit(actor, AuditAction.REPORT_PRINTED, version)
    return content


def _versions(actor: User, study: Study) -> list[Version]:
    policies.require(actor, policies.Act.VIEW_RECORDS, study.site)
    versions = report_versions(study, viewer=actor)
    if not versions:
        raise NotPossible(HIDDEN if study.reviews.exists() else NOT_SIGNED)
    return versions


def _audit(actor: User, action: AuditAction, version: Version) -> None:
    study = version.review.study
    audit_record(
        actor=actor,
        action=action,
        site=study.site,
        patient=study.patient,
        target=version.review,
        details={"study": str(study.pk), "version": version.number, "with_opinion": version.tells_opinion},
    )
