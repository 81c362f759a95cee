"""A radiologist's decision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from diagnosis.models import Confidence, Decision, OverrideReason
from diagnosis.web.forms.base import PortalForm, label_choices
from diagnosis.web.forms.report import SignatureForm, text_area


class LabelForm(PortalForm):
    """Offers labels to choose from."""

    def offers(self, label: str) -> bool:
        return any(code == label for code, _name in self.offered)

    @property
    def offered(self) -> list[tuple[str, str]]:
        return list(self.fields["label"].widget.choices)

    @property
    def key(self) -> str:
        """As long as it is the same, a page that refreshes leaves what is chosen to whoever chooses."""
        return "-".join([type(self).__name__, *(code for code, _name in self.offered)])


class FirstReadForm(LabelForm):
    """A reader's own read, before the second opinion is shown; ``labels`` are what there is to choose from."""

    image_set = forms.CharField(required=False, widget=forms.HiddenInput)
    label = forms.CharField(label=gettext_lazy("Your reading"), required=False)
    confidence = forms.CharField(label=gettext_lazy("How sure are you?"), required=False)

    def __init__(self, *args: Any, labels: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, auto_id="first_%s", **kwargs)
        self.fields["label"].widget = forms.RadioSelect(choices=label_choices(labels))
        self.fields["confidence"].widget = forms.RadioSelect(choices=Confidence.choices)


class ReviewForm(LabelForm, SignatureForm):
    """``labels`` are what the reader may choose from; all else is checked when the read is signed.

    ``decides``: they are the several labels of the second opinion, and need no reason. The sections of the report are
    written in a form of their own, which is sent along.
    """

    shown_elsewhere = ("comparison", "findings", "impression")

    decision = forms.CharField(required=False, widget=forms.HiddenInput)
    opinion_token = forms.CharField(required=False, widget=forms.HiddenInput)
    label = forms.CharField(label=gettext_lazy("Your reading"), required=False)
    reason = forms.CharField(label=gettext_lazy("Reason"), required=False)
    note = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 3, "data-draft-field": ""}))
    comparison = text_area(gettext_lazy("Comparison"))
    findings = text_area(gettext_lazy("Findings"))
    impression = text_area(gettext_lazy("Impression"))

    def __init__(self, *args: Any, labels: Mapping[str, str], decides: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, auto_id="choice_%s" if decides else "review_%s", **kwargs)
        self.decides = decides
        self.confirms = self.is_bound and self.data.get("decision") == Decision.CONFIRM
        self.fields["label"].widget = forms.RadioSelect(choices=label_choices(labels))
        self.fields["reason"].widget = forms.Select(
            choices=[("", _("Choose a reason")), *OverrideReason.choices]
        )
