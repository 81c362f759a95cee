"""What an archive is asked."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from diagnosis.models import PacsPeer
from diagnosis.pacs.archive import StudyQuery
from diagnosis.services.pacs import NOTHING_ASKED
from diagnosis.web.forms.base import DayInput, PortalForm

in_one_line = RegexValidator(
    r"[\x00-\x1f\x7f\\]",
    gettext_lazy("Line breaks, control characters and backslashes are not searched for."),
    inverse_match=True,
)


class ArchiveSearchForm(PortalForm):
    archive = forms.ModelChoiceField(
        label=gettext_lazy("Archive"), queryset=PacsPeer.objects.none(), empty_label=None
    )
    patient_id = forms.CharField(
        label=gettext_lazy("Record number"), max_length=64, required=False, validators=[in_one_line]
    )
    patient_name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=64,
        required=False,
        validators=[in_one_line],
        help_text=gettext_lazy("Family name and given name, such as Example, Ana. The beginning is enough."),
    )
    accession_number = forms.CharField(
        label=gettext_lazy("Accession number"), max_length=64, required=False, validators=[in_one_line]
    )
    date_from = forms.DateField(label=gettext_lazy("Taken from"), widget=DayInput, required=False)
    date_to = forms.DateField(label=gettext_lazy("Taken until"), widget=DayInput, required=False)

    def __init__(self, *args: Any, archives: QuerySet[PacsPeer], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["archive"]
        field.queryset = archives  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        first, last = values.get("date_from"), values.get("date_to")
        if first and last and first > last:
            raise ValidationError({"date_to": _("This day is before the first one. Correct one of them.")})
        if not self.errors and self.query.is_empty:
            raise ValidationError(str(NOTHING_ASKED))
        return values

    @property
    def query(self) -> StudyQuery:
        values = self.cleaned_data
        family, _comma, given = (part.strip() for part in values.get("patient_name", "").partition(","))
        name = "^".join(part for part in (family, given) if part)
        return StudyQuery(
            patient_id=values.get("patient_id", ""),
            # A person types the beginning of a name; DICOM matches whole ones.
            patient_name=f"{name}*" if name and not name.endswith("*") else name,
            accession_number=values.get("accession_number", ""),
            date_from=values.get("date_from"),
            date_to=values.get("date_to"),
        )
