"""The words that a hospital keeps ready for its reports."""

import re

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from diagnosis.models.patient import no_control_characters
from diagnosis.models.review import report_text_field
from diagnosis.models.scoped import SiteScopedQuerySet

#: What a text may leave open for the study to fill in, written as ``{age}``; for the person who writes the text.
PLACEHOLDERS = {
    "age": gettext_lazy("the patient's age in years when the image was taken"),
    "sex": gettext_lazy("the patient's sex"),
    "date": gettext_lazy("the day when the image was taken"),
    "previous": gettext_lazy("the day of the previous study"),
}
#: What a reader has to fill in before the report is signed.
BLANK = "___"

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def validate_placeholders(value: str) -> None:
    unknown = sorted({name for name in _PLACEHOLDER.findall(value) if name not in PLACEHOLDERS})
    if unknown:
        raise ValidationError(
            _(
                "There is no {%(unknown)s}. What is filled in by itself is written %(known)s; what the reader fills "
                "in, %(blank)s."
            ),
            params={
                "unknown": "}, {".join(unknown),
                "known": ", ".join(f"{{{name}}}" for name in PLACEHOLDERS),
                "blank": BLANK,
            },
        )


def placeholders_fill(text: str, values: dict[str, str]) -> str:
    """``text`` with what is known filled in; what is not known becomes a blank for the reader."""
    return _PLACEHOLDER.sub(lambda found: values.get(found[1]) or BLANK, text)


class ReportText(models.Model):
    """A template, which fills sections of the report, or a block, which goes to where the cursor is.

    A reader picks it from a list or types a full stop and the ``code``, as in ``.normal``.
    """

    site_lookup = "site"

    site = models.ForeignKey("diagnosis.Site", on_delete=models.PROTECT, related_name="report_texts")
    code = models.CharField(
        max_length=32,
        validators=[
            RegexValidator(
                r"\A[a-z0-9][a-z0-9-]*\Z",
                gettext_lazy(
                    "Write the code with small letters, digits and hyphens, such as normal or no-change."
                ),
            )
        ],
        help_text=gettext_lazy("What a reader types after a full stop: normal for .normal."),
    )
    name = models.CharField(max_length=100, validators=[no_control_characters])
    findings = report_text_field(validate_placeholders)
    impression = report_text_field(validate_placeholders)
    comparison = report_text_field(validate_placeholders)
    block = report_text_field(
        validate_placeholders,
        help_text=gettext_lazy("A text for any section. Then leave the three sections empty."),
    )

    objects = SiteScopedQuerySet.as_manager()

    class Meta:
        ordering = ["name", "code"]
        constraints = [
            models.UniqueConstraint(
                fields=["site", "code"],
                name="report_text_code_unique_at_site",
                violation_error_message=gettext_lazy(
                    "This hospital has a text with this code already. Choose another code."
                ),
            ),
            models.CheckConstraint(
                condition=(
                    models.Q(findings="", impression="", comparison="") & ~models.Q(block="")
                    | models.Q(block="") & ~models.Q(findings="", impression="", comparison="")
                ),
                name="report_text_template_or_block",
                violation_error_message=gettext_lazy(
                    "Fill in one or more sections, or the block for any section: not both, and not neither."
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} (.{self.code})"
