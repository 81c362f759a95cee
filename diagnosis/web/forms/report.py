"""What is written of a report: while it is a draft, and after it was signed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from diagnosis.models import OverrideReason, ReportDraft, Review, ReviewKind
from diagnosis.selectors.reports import SECTION_TITLES
from diagnosis.web.forms.base import PortalForm, label_choices

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


def text_area(label: StrOrPromise, rows: int = 2) -> forms.CharField:
    return forms.CharField(label=label, required=False, widget=forms.Textarea(attrs={"rows": rows}))


class SignatureForm(PortalForm):
    """The draft on screen, and the password where the site asks for it."""

    #: Fields that another part of the page shows: what is wrong with them is said beside the button.
    shown_elsewhere: tuple[str, ...] = ()

    draft_version = forms.IntegerField(required=False, widget=forms.HiddenInput)
    signing_password = forms.CharField(
        label=gettext_lazy("Your password"),
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    @property
    def errors_of_report(self) -> list[str]:
        """“Findings: …” for each of the fields that are shown elsewhere."""
        return [
            f"{self[name].label}: {sentence}"
            for name in self.shown_elsewhere
            for sentence in self[name].errors
        ]


class AddendumForm(SignatureForm):
    addendum = text_area(gettext_lazy("Addendum"), 4)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, auto_id="addendum_%s", **kwargs)


class CorrectionForm(SignatureForm):
    """The whole report as it shall stand, beginning with what is signed; ``labels`` are what there is to choose from."""

    change_reason = forms.CharField(
        label=gettext_lazy("Why the report is corrected"),
        required=False,
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    label = forms.CharField(label=gettext_lazy("Label"), required=False)
    reason = forms.CharField(
        label=gettext_lazy("Reason, where the label is not the second opinion's"), required=False
    )
    comparison = text_area(gettext_lazy("Comparison"))
    findings = text_area(gettext_lazy("Findings"), 4)
    impression = text_area(gettext_lazy("Impression"))
    note = text_area(gettext_lazy("Note"))

    def __init__(self, *args: Any, labels: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, auto_id="correction_%s", **kwargs)
        self.fields["label"].widget = forms.RadioSelect(choices=label_choices(labels))
        self.fields["reason"].widget = forms.Select(choices=[("", _("None")), *OverrideReason.choices])

    @property
    def sections(self) -> list[forms.BoundField]:
        return [self[section] for section in SECTION_TITLES]


def with_draft(sent: QueryDict, draft: ReportDraft | None) -> QueryDict:
    """What was sent to sign a read, with the report: without a script that stands in a form of its own, and what counts is
    what was saved of it.
    """
    if "draft_version" in sent or draft is None or draft.kind != ReviewKind.SIGNED:
        return sent
    joined = sent.copy()
    joined["draft_version"] = str(draft.version)
    for section in SECTION_TITLES:
        joined[section] = getattr(draft, section)
    return joined


def as_signed(review: Review) -> dict[str, str]:
    """What a correction of ``review`` begins with."""
    return {name: getattr(review, name) for name in ("label", "reason", "note", *SECTION_TITLES)}
