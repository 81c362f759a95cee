"""What people enter about second reads, discrepancies and critical results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext as _

from diagnosis.models import CommunicationMethod, Confidence
from diagnosis.services.discrepancies import DECISION_CHOICES
from diagnosis.web.forms.base import MomentInput, PortalForm, label_choices
from diagnosis.web.forms.report import SignatureForm, text_area
from diagnosis.web.forms.review import LabelForm

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


def _note(label: StrOrPromise, *, help_text: StrOrPromise = "") -> forms.CharField:
    return forms.CharField(
        label=label, required=False, widget=forms.Textarea(attrs={"rows": 2}), help_text=help_text
    )


class SecondReadRequestForm(PortalForm):
    note = _note(
        gettext_lazy("What should the second reader look at?"),
        help_text=gettext_lazy("They see it once their own read is locked."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, auto_id="second_request_%s", **kwargs)


class WithdrawForm(PortalForm):
    reason = forms.CharField(label=gettext_lazy("Why it is withdrawn"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, auto_id="withdraw_%s", **kwargs)


class SecondReadForm(LabelForm, SignatureForm):
    """A second read or an adjudication. ``labels`` are what a reader may sign.

    The sections of the report are written in a form of their own, which is sent along; an adjudication has none.
    """

    shown_elsewhere = ("comparison", "findings", "impression")

    image_set = forms.CharField(required=False, widget=forms.HiddenInput)
    label = forms.CharField(label=gettext_lazy("Your reading"), required=False)
    confidence = forms.CharField(label=gettext_lazy("How sure are you?"), required=False)
    note = forms.CharField(
        label=gettext_lazy("Note"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "data-draft-field": ""}),
    )
    comparison = text_area(gettext_lazy("Comparison"))
    findings = text_area(gettext_lazy("Findings"))
    impression = text_area(gettext_lazy("Impression"))

    def __init__(self, *args: Any, labels: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, auto_id="second_%s", **kwargs)
        self.fields["label"].widget = forms.RadioSelect(choices=label_choices(labels))
        self.fields["confidence"].widget = forms.RadioSelect(choices=Confidence.choices)


class DiscrepancyForm(PortalForm):
    """``number`` keeps the fields of several on one page apart."""

    decision = forms.ChoiceField(label=gettext_lazy("What was decided"), required=False)
    note = _note(gettext_lazy("Note"))

    def __init__(self, *args: Any, number: object = "", **kwargs: Any) -> None:
        super().__init__(*args, auto_id=f"discrepancy{number}_%s", **kwargs)
        self.fields["decision"].choices = [  # type: ignore[attr-defined]
            ("", _("Choose")),
            *DECISION_CHOICES,
        ]


class CriticalFlagForm(PortalForm):
    finding = forms.CharField(label=gettext_lazy("Finding"), required=False)
    found_at = forms.DateTimeField(
        label=gettext_lazy("Found"), required=False, widget=MomentInput, help_text=gettext_lazy("Empty: now.")
    )
    note = _note(gettext_lazy("What and where"))

    def __init__(self, *args: Any, findings: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, auto_id="critical_%s", **kwargs)
        self.fields["finding"].widget = forms.RadioSelect(
            choices=[(code, gettext(display)) for code, display in findings.items()]
        )


class CriticalToldForm(PortalForm):
    told_to = forms.CharField(label=gettext_lazy("Who was told"), required=False, max_length=200)
    method = forms.ChoiceField(
        label=gettext_lazy("How"),
        choices=[("", gettext_lazy("Choose")), *CommunicationMethod.choices],
        required=False,
    )
    told_at = forms.DateTimeField(
        label=gettext_lazy("When"), required=False, widget=MomentInput, help_text=gettext_lazy("Empty: now.")
    )
    read_back = forms.BooleanField(label=gettext_lazy("They read it back, and it was right"), required=False)
    note = _note(gettext_lazy("Note"))

    def __init__(self, *args: Any, number: object = "", **kwargs: Any) -> None:
        super().__init__(*args, auto_id=f"told{number}_%s", **kwargs)


class CriticalCancelForm(PortalForm):
    reason = forms.CharField(label=gettext_lazy("Why the entry is wrong"), required=False)

    def __init__(self, *args: Any, number: object = "", **kwargs: Any) -> None:
        super().__init__(*args, auto_id=f"cancel{number}_%s", **kwargs)
