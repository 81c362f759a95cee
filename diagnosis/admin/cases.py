"""A hospital's rules for second reads, late PCR results and critical results; and the cases themselves, to be looked at."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from diagnosis import policies
from diagnosis.admin.base import AuditedSiteFilter, ClinicalAdmin, person
from diagnosis.admin.clinical import link
from diagnosis.models import (
    CaseRules,
    CriticalFinding,
    CriticalResult,
    Discrepancy,
    EscalationContact,
    Membership,
    Role,
    SecondRead,
    User,
)
from diagnosis.selectors.cases import hidden_read
from diagnosis.selectors.critical_results import may_be_contact
from diagnosis.services.case_settings import case_setting_delete, case_setting_save
from diagnosis.services.case_words import cause_words, discrepancy_words

ACT = policies.Act.SET_CASE_RULES


class CaseSettingsAdmin(admin.ModelAdmin):
    """Administrators of a site set its rules; who audits a site looks at them."""

    actions = None
    list_filter = (AuditedSiteFilter,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: Any = super().get_queryset(request)
        return rows.auditable_by(request.user).select_related("site")

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        sites = policies.sites_where(request.user, ACT)
        if db_field.name == "site":
            kwargs["queryset"] = sites
        if db_field.name == "user":
            roles = (Role.DOCTOR, Role.RADIOLOGIST)
            here = Membership.objects.filter(site__in=sites, role__in=roles)
            kwargs["queryset"] = User.objects.filter(pk__in=here.values("user"), is_active=True)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("site",) if obj else ()

    def has_module_permission(self, request: HttpRequest) -> bool:
        return policies.may_audit(request.user)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return policies.may_audit(request.user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return policies.sites_where(request.user, ACT).exists()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if obj is None:
            return self.has_add_permission(request)
        return policies.may(request.user, ACT, obj.site)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        case_setting_save(actor=person(request), setting=obj, changed=form.changed_data)


@admin.register(CaseRules)
class CaseRulesAdmin(CaseSettingsAdmin):
    list_display = ("site", "second_read_share_percent", "second_read_most_open", "critical_minutes")
    fieldsets = (
        (None, {"fields": ("site",)}),
        (
            gettext_lazy("PCR beside the read"),
            {"fields": ("pcr_days_before", "pcr_days_after", "xray_expected_from_day", "ai_covid_from")},
        ),
        (
            gettext_lazy("Second reads"),
            {"fields": ("second_read_share_percent", "second_read_most_open", "second_read_most_a_day")},
        ),
        (gettext_lazy("Critical results"), {"fields": ("critical_minutes",)}),
    )


class ListEntryAdmin(CaseSettingsAdmin):
    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_change_permission(request, obj)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        case_setting_delete(actor=person(request), setting=obj)


@admin.register(CriticalFinding)
class CriticalFindingAdmin(ListEntryAdmin):
    """A site with one entry of its own offers its own list alone."""

    list_display = ("display", "code", "position", "is_active", "site")
    fields = ("site", "display", "code", "position", "is_active")
    ordering = ("site", "position")


class ContactForm(forms.ModelForm):
    def clean(self) -> dict[str, Any] | None:
        cleaned: dict[str, Any] = super().clean() or {}
        user, site = cleaned.get("user"), cleaned.get("site") or getattr(self.instance, "site", None)
        if user is not None and site is not None:
            if not may_be_contact(user, site):
                raise ValidationError({"user": _("This person is no doctor or radiologist of the hospital.")})
            if not user.email:
                raise ValidationError(
                    {"user": _("This person has no mail address. Enter one in the account first.")}
                )
        return cleaned


@admin.register(EscalationContact)
class EscalationContactAdmin(ListEntryAdmin):
    """Told in the order of their positions, after the doctor who asked for the X-ray."""

    form = ContactForm
    list_display = ("position", "user", "site")
    fields = ("site", "position", "user")
    ordering = ("site", "position")


class CaseAdmin(ClinicalAdmin):
    """Records of cases: to be looked at."""

    @admin.display(description=gettext_lazy("patient"), ordering="study__patient__person_name")
    def patient(self, record: Any) -> str:
        return str(record.study.patient)

    def site(self, record: Any) -> str:
        return str(record.study.site)

    @admin.display(description=gettext_lazy("study"))
    def study_link(self, record: Any) -> str:
        return link(record.study)


@admin.register(SecondRead)
class SecondReadAdmin(CaseAdmin):
    list_display = ("patient", "state", "holder", "requested_at", "closed_at", "site")
    list_filter = (AuditedSiteFilter, "state")
    list_select_related = ("study__patient", "study__site", "holder")
    search_fields = ("study__patient__person_name", "study__patient__mrn")
    search_help_text = gettext_lazy("Patient's name or record number")
    ordering = ("-requested_at",)
    fields = (
        "study_link", "state", "why", "reads", "holder", "held_until", "requested_at", "closed_at", "cancelled_by",
        "cancel_reason",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[SecondRead]:
        """Why one is wanted tells of read and network: not for an administrator who may still read it second."""
        rows = super().get_queryset(request).exclude(hidden_read(person(request), "study__"))
        return rows.filter(policies.ai_shown_to(request.user, "study__"))

    def why(self, second_read: SecondRead) -> str:
        return "; ".join(cause_words(cause) for cause in second_read.causes.select_related("asked_by"))

    def reads(self, second_read: SecondRead) -> str:
        opinions = second_read.opinions.select_related("reader")
        return "; ".join(f"{o.get_role_display()} {o.reader}: {o.label_display}" for o in opinions) or "-"


@admin.register(Discrepancy)
class DiscrepancyAdmin(CaseAdmin):
    list_display = ("patient", "verdict", "state", "opened_at", "site")
    list_filter = (AuditedSiteFilter, "state", "verdict")
    list_select_related = ("review__study__patient", "review__study__site")
    search_fields = ("review__study__patient__person_name", "review__study__patient__mrn")
    search_help_text = gettext_lazy("Patient's name or record number")
    ordering = ("-opened_at",)
    fields = ("study_link", "words", "verdict", "state", "opened_at", "steps")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Discrepancy]:
        return super().get_queryset(request).exclude(hidden_read(person(request), "review__study__"))

    @admin.display(ordering="review__study__patient__person_name")
    def patient(self, record: Any) -> str:
        return str(record.review.study.patient)

    def site(self, record: Any) -> str:
        return str(record.review.study.site)

    @admin.display(description=gettext_lazy("study"))
    def study_link(self, record: Any) -> str:
        return link(record.review.study)

    def words(self, discrepancy: Discrepancy) -> str:
        return discrepancy_words(discrepancy)

    def steps(self, discrepancy: Discrepancy) -> str:
        moves = discrepancy.moves.select_related("actor")
        return "; ".join(f"{move} by {move.actor} {move.get_decision_display()}" for move in moves) or "-"


@admin.register(CriticalResult)
class CriticalResultAdmin(CaseAdmin):
    list_display = ("patient", "finding_display", "state", "flagged_by", "flagged_at", "site")
    list_filter = (AuditedSiteFilter, "state")
    list_select_related = ("study__patient", "study__site", "flagged_by")
    search_fields = ("study__patient__person_name", "study__patient__mrn")
    search_help_text = gettext_lazy("Patient's name or record number")
    ordering = ("-flagged_at",)
    fields = (
        "study_link", "finding_display", "note", "state", "found_at", "flagged_by", "flagged_at", "told", "steps",
        "acknowledged_by", "acknowledged_at", "acknowledged_how", "cancelled_by", "cancelled_at", "cancel_reason",
    )  # fmt: skip

    def told(self, result: CriticalResult) -> str:
        rows = result.communications.select_related("told_by")
        return (
            "; ".join(
                f"{row.told_to}, {row.get_method_display()}, {row.told_at:%Y-%m-%d %H:%M}" for row in rows
            )
            or "-"
        )

    def steps(self, result: CriticalResult) -> str:
        rows = result.escalations.select_related("contact")
        return (
            "; ".join(f"{row.step}: {row.contact}, {row.escalated_at:%Y-%m-%d %H:%M}" for row in rows) or "-"
        )
