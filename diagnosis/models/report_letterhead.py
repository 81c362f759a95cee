"""What stands on top of a hospital's reports."""

from django.db import models
from django.utils.translation import gettext_lazy

from diagnosis.models.scoped import SiteScopedQuerySet


class ReportLetterhead(models.Model):
    """Address and logo of one hospital; its name is the site's. Not on ``Site``: no list of studies has to load a picture."""

    site_lookup = "site"

    site = models.OneToOneField("diagnosis.Site", on_delete=models.PROTECT, related_name="letterhead")
    address = models.TextField(
        max_length=500,
        blank=True,
        help_text=gettext_lazy("As it is to be printed: street, town, telephone; up to six lines."),
    )
    logo_png = models.BinaryField(null=True, editable=False, help_text="Drawn anew from what was uploaded.")

    objects = SiteScopedQuerySet.as_manager()

    class Meta:
        verbose_name = "letterhead"

    def __str__(self) -> str:
        return f"Letterhead of {self.site}"
