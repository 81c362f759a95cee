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

    objects = SiteScopedQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def tzinfo(self) -> zoneinfo.ZoneInfo:
        return zoneinfo.ZoneInfo(self.time_zone)
