"""A hospital's words and letterhead for its reports. Changes go through the services, which put them on record."""

from __future__ import annotations

from typing import Any, BinaryIO, cast

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import lazy
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy

from diagnosis import policies
from diagnosis.admin.base import AuditedSiteFilter, person
from diagnosis.models import ReportLetterhead, ReportText
from diagnosis.models.report_text import BLANK, PLACEHOLDERS
from diagnosis.services.report_settings import (
    letterhead_save,
    logo_draw,
    report_text_delete,
    report_text_save,
)


class ReportSettingsAdmin(admin.ModelAdmin):
    """Administrators of a site set up its reports; who audits a site looks at how they are set up."""

    actions = None
    list_filter = (AuditedSiteFilter,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: Any = super().get_queryset(request)
        return rows.auditable_by(request.user).select_related("site")

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "site":
            kwargs["queryset"] = policies.sites_where(request.user, policies.Act.SET_UP_REPORTS)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("site",) if obj else ()

    def has_module_permission(self, request: HttpRequest) -> bool:
        return policies.may_audit(request.user)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return policies.may_audit(request.user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return policies.sites_where(request.user, policies.Act.SET_UP_REPORTS).exists()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if obj is None:
            return self.has_add_permission(request)
        return policies.may(request.user, policies.Act.SET_UP_REPORTS, obj.site)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def _placeholders() -> str:
    return "; ".join(f"{{{name}}}, {meaning}" for name, meaning in PLACEHOLDERS.items())


@admin.register(ReportText)
class ReportTextAdmin(ReportSettingsAdmin):
    list_display = ("name", "code", "site")
    search_fields = ("name", "code")
    fieldsets = (
        (
            None,
            {
                "fields": ("site", "name", "code"),
                "description": format_lazy(
                    gettext_lazy(
                        "By itself is filled in: {placeholders}. What the reader must fill in before signing is written {blank}."
                    ),
                    placeholders=lazy(_placeholders, str)(),
                    blank=BLANK,
                ),
            },
        ),
        (
            gettext_lazy("A template for one or more sections"),
            {"fields": ("comparison", "findings", "impression")},
        ),
        (gettext_lazy("Or a block for any section"), {"fields": ("block",)}),
    )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_change_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: ReportText, form: Any, change: bool) -> None:
        report_text_save(actor=person(request), text=obj, changed=form.changed_data)

    def delete_model(self, request: HttpRequest, obj: ReportText) -> None:
        report_text_delete(actor=person(request), text=obj)


class LetterheadForm(forms.ModelForm):
    logo = forms.FileField(
        required=False,
        help_text=gettext_lazy("PNG or JPEG of at most 1 MB. It is printed 16 mm high, left of the name."),
    )
    remove_logo = forms.BooleanField(required=False, label=gettext_lazy("Remove the logo"))

    def clean_logo(self) -> UploadedFile[Any] | None:
        logo: UploadedFile[Any] | None = self.cleaned_data["logo"]
        if logo is not None:
            try:
                logo_draw(cast(BinaryIO, logo))
            except ValidationError as error:
                raise ValidationError(error.message_dict["logo"]) from None
            logo.seek(0)
        return logo


@admin.register(ReportLetterhead)
class ReportLetterheadAdmin(ReportSettingsAdmin):
    form = LetterheadForm
    list_display = ("site", "has_logo")
    fields = ("site", "address", "logo", "remove_logo")

    @admin.display(description=gettext_lazy("logo"), boolean=True)
    def has_logo(self, letterhead: ReportLetterhead) -> bool:
        return letterhead.logo_png is not None

    def save_model(self, request: HttpRequest, obj: ReportLetterhead, form: Any, change: bool) -> None:
        letterhead_save(
            actor=person(request),
            letterhead=obj,
            logo=form.cleaned_data["logo"],
            removes_logo=form.cleaned_data["remove_logo"],
        )
