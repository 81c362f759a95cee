"""The hospital or department that owns patients and studies."""

import zoneinfo

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from diagnosis.models.claim import CLAIM_MINUTES, CLAIM_MINUTES_RANGE
from diagnosis.models.scoped import SiteScopedQuerySet


def validate_time_zone(value: str) -> None:
    if value not in zoneinfo.available_timezones():
        raise ValidationError(
            _("“%(value)s” is not a time zone. Write it like Europe/Madrid."), params={"value": value}
        )


def site_languages() -> list[tuple[str, str]]:
    """What the portal speaks. Asked for when it is needed: a new language is no change of the tables."""
    return settings.LANGUAGES


class Deidentification(models.TextChoices):
    """What a hospital has stored of the files that come in."""

    OFF = "off", gettext_lazy("The files as they came")
    STORED_COPY = "stored_copy", gettext_lazy("De-identified copies in their place")


class ReadingProtocol(models.TextChoices):
    """When a reader is shown the second opinion."""

    READ_FIRST = "read-first", gettext_lazy("The reader's own read first, then the second opinion")
    CONCURRENT = "concurrent", gettext_lazy("The second opinion beside the image from the start")
    AI_FIRST = "ai-first", gettext_lazy("The second opinion first: it may also order the worklist")


class OpinionForOthers(models.TextChoices):
    """When, at a site that reads first, those who do not sign reads are shown the second opinion."""

    AFTER_READ = "after-read", gettext_lazy("Once a radiologist has signed")
    AT_ONCE = "at-once", gettext_lazy("At once, before a radiologist has signed")


class Site(models.Model):
    """A hospital or department. Every patient belongs to one; users see the patients of their own sites."""

    site_lookup = "pk"

    name = models.CharField(max_length=200, unique=True)
    time_zone = models.CharField(
        max_length=64,
        default="UTC",
        validators=[validate_time_zone],
        help_text=gettext_lazy("DICOM times are local to the hospital: they are read in this zone."),
    )
    language = models.CharField(
        gettext_lazy("language"),
        max_length=10,
        choices=site_languages,
        default=settings.LANGUAGE_CODE,
        help_text=gettext_lazy(
            "Reports on paper are printed in it, and people who have chosen no language get their mails in it."
        ),
    )
    reading_protocol = models.CharField(
        max_length=16,
        choices=ReadingProtocol,
        default=ReadingProtocol.READ_FIRST,
        help_text=gettext_lazy(
            "Read first: nothing of the network reaches a radiologist before the own label and confidence are locked."
        ),
    )
    opinion_for_others = models.CharField(
        gettext_lazy("second opinion for doctors"),
        max_length=16,
        choices=OpinionForOthers,
        default=OpinionForOthers.AFTER_READ,
        help_text=gettext_lazy(
            "Where radiologists read first: when doctors, who do not sign reads, see the second opinion."
        ),
    )
    signing_asks_password = models.BooleanField(
        gettext_lazy("ask for the password when signing"),
        default=False,
        help_text=gettext_lazy(
            "Whoever signs a read, an addendum or a correction types the password once more."
        ),
    )

    claim_minutes = models.PositiveSmallIntegerField(
        gettext_lazy("minutes that a claim lasts"),
        default=CLAIM_MINUTES,
        validators=list(CLAIM_MINUTES_RANGE),
        help_text=gettext_lazy(
            "A radiologist who opens a study holds it for so long, so that two do not read the same one. While the page "
            "is open the claim is renewed."
        ),
    )

    deidentification = models.CharField(
        gettext_lazy("what is stored"),
        max_length=16,
        choices=Deidentification,
        default=Deidentification.OFF,
        help_text=gettext_lazy(
            "It counts for files that come from now on. A de-identified copy replaces the original, which is kept nowhere; "
            "text that is part of the picture stays in it."
        ),
    )

    objects = SiteScopedQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(deidentification__in=Deidentification.values),
                name="site_deidentification_known",
            ),
            models.CheckConstraint(
                condition=models.Q(reading_protocol__in=ReadingProtocol.values),
                name="site_reading_protocol_known",
            ),
            models.CheckConstraint(
                condition=models.Q(opinion_for_others__in=OpinionForOthers.values),
                name="site_opinion_for_others_known",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def stores_deidentified(self) -> bool:
        return self.deidentification == Deidentification.STORED_COPY

    @property
    def tzinfo(self) -> zoneinfo.ZoneInfo:
        return zoneinfo.ZoneInfo(self.time_zone)
