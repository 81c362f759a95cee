"""The hospital or department that owns patients and studies."""

import zoneinfo

from django.core.exceptions import ValidationError
from django.db import models

from diagnosis.models.scoped import SiteScopedQuerySet


def validate_time_zone(value: str) -> None:
    if value not in zoneinfo.available_timezones():
        raise ValidationError(
            "“%(value)s” is not a time zone. Write it like Europe/Madrid.", params={"value": value}
        )


class Deidentification(models.TextChoices):
    """What a hospital has stored of the files that come in."""

    OFF = "off", "The files as they came"
    STORED_COPY = "stored_copy", "De-identified copies in their place"


class Site(models.Model):
    """A hospital or department. Every patient belongs to one; users see the patients of their own sites."""

    site_lookup = "pk"

    name = models.CharField(max_length=200, unique=True)
    time_zone = models.CharField(
        max_length=64,
        default="UTC",
        validators=[validate_time_zone],
        help_text="DICOM times are local to the hospital: they are read in this zone.",
    )

    deidentification = models.CharField(
        "what is stored",
        max_length=16,
        choices=Deidentification,
        default=Deidentification.OFF,
        help_text="It counts for files that come from now on. A de-identified copy replaces the original, which is kept nowhere; "
        "text that is part of the picture stays in it.",
    )

    objects = SiteScopedQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(deidentification__in=Deidentification.values),
                name="site_deidentification_known",
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
