"""A hospital's own words and letterhead for its reports."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import BinaryIO

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext_lazy
from PIL import Image as Picture
from PIL import UnidentifiedImageError

from diagnosis import policies
from diagnosis.models import AuditAction, ReportLetterhead, ReportText, User
from diagnosis.services.audit import audit_record

LOGO_MAX_BYTES = 1024**2
LOGO_MAX_PIXELS = 4_000_000
LOGO_BOX = (800, 400)
"""Larger than a logo is ever printed."""
LOGO_FORMATS = ("PNG", "JPEG")

NO_LOGO = gettext_lazy("This is not a PNG or JPEG picture. Choose one of these.")
TOO_LARGE = gettext_lazy(
    "This picture is too large for a logo. Choose one of at most 1 MB and 4 million pixels."
)


@transaction.atomic
def report_text_save(*, actor: User, text: ReportText, changed: Sequence[str]) -> ReportText:
    """Save a new or changed text; ``changed`` names the fields. Raises ``ValidationError`` with field errors."""
    policies.require(actor, policies.Act.SET_UP_REPORTS, text.site)
    text.full_clean()
    text.save()
    _audit(actor, text, {"code": text.code, "fields": sorted(changed)})
    return text


@transaction.atomic
def report_text_delete(*, actor: User, text: ReportText) -> None:
    """What was written with it stays as it is."""
    policies.require(actor, policies.Act.SET_UP_REPORTS, text.site)
    _audit(actor, text, {"code": text.code, "deleted": True})
    text.delete()


@transaction.atomic
def letterhead_save(
    *, actor: User, letterhead: ReportLetterhead, logo: BinaryIO | None = None, removes_logo: bool = False
) -> ReportLetterhead:
    """Save address and logo; ``logo`` is an uploaded file, which is drawn anew. Raises ``ValidationError``."""
    policies.require(actor, policies.Act.SET_UP_REPORTS, letterhead.site)
    if logo is not None:
        letterhead.logo_png = logo_draw(logo)
    elif removes_logo:
        letterhead.logo_png = None
    letterhead.full_clean()
    letterhead.save()
    _audit(actor, letterhead, {"has_logo": letterhead.logo_png is not None, "new_logo": logo is not None})
    return letterhead


def logo_draw(file: BinaryIO) -> bytes:
    """The picture as a PNG of our own, without anything else that the file may hold. Raises ``ValidationError``."""
    content = file.read(LOGO_MAX_BYTES + 1)
    if len(content) > LOGO_MAX_BYTES:
        raise ValidationError({"logo": TOO_LARGE})
    try:
        with Picture.open(io.BytesIO(content), formats=LOGO_FORMATS) as picture:
            # Of the header, before a pixel is unpacked.
            if picture.width * picture.height > LOGO_MAX_PIXELS:
                raise ValidationError({"logo": TOO_LARGE})
            drawn = picture.convert("RGBA")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        raise ValidationError({"logo": NO_LOGO}) from None
    drawn.thumbnail(LOGO_BOX, Picture.Resampling.LANCZOS)
    png = io.BytesIO()
    drawn.save(png, "PNG", optimize=True)
    return png.getvalue()


def _audit(actor: User, target: ReportText | ReportLetterhead, details: dict[str, object]) -> None:
    audit_record(
        actor=actor, action=AuditAction.REPORT_SET_UP, site=target.site, target=target, details=details
    )
